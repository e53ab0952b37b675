"""The same words in the terminal and in a document."""

from vlmgate.selftest.tables import Table, render

TABLE = Table("Rates", ["case", "rate"], [["a", "0.10 %"], ["b", 2]], ["Read with care."])


def test_plain_and_markdown_hold_the_same_cells() -> None:
    plain, markdown = render([TABLE, TABLE]), render([TABLE, TABLE], markdown=True)
    for text in (plain, markdown):
        assert text.count("Rates") == text.count("Read with care.") == text.count("0.10 %") == 2 and text.endswith("\n")
    assert "| a      | 0.10 % |" in markdown and "**Rates**" in markdown and "|" not in plain
