"""comparison.md: its tables hold together whatever the names and captions are."""

import re
from dataclasses import replace

import pytest
from runs import CRASH, FAIL, UNRESOLVED, make_run, record, with_outcomes

from vlmgate.report.markdown import escape, render
from vlmgate.spec import Failure, Outcome


def tables(text: str) -> list[list[list[str]]]:
    """Every table as rows of cells; a pipe behind a backslash is no border."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("|"):
            found += [] if inside else [[]]
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        inside = line.startswith("|")
    return found


def test_tables_are_rectangular() -> None:
    found = tables(render(make_run()))
    assert len(found) == 6  # two models with their anatomy, captions, environment
    for table in found:
        assert len({len(line) for line in table}) == 1
        assert all(re.fullmatch(r":?-{3,}:?", cell) for cell in table[1])


def test_the_spread_of_memory_over_processes_is_a_line_of_its_own() -> None:
    spread = "peak memory [MB], lowest to highest process: fp32 2000.0 to 2200.0 (2 processes)"
    assert spread in render(make_run()).splitlines()


def test_model_table_by_hand() -> None:
    scene, base = tables(render(make_run()))[:3:2]
    head = [
        "variant",
        "time/image [ms]",
        "speed-up × fp32 (95 %)",
        "images/s",
        "peak memory [MB]",
        "× fp32",
        "size [MB]",
        "× fp32",
    ]
    assert scene[0] == [*head, "BLEU-4", "kept [%]", "CIDEr", "kept [%]", "verdict"]
    assert scene[2][0:4] == ["fp32", "80.0", "1.00", "12.5"]
    expected = ["int8-dynamic", "64.0", "1.25 (1.22 to 1.28)", "15.6", "250", "0.500", "10.0", "0.250", "0.784", "98.0", "4.95"]
    assert scene[3] == [*expected, "99.0", "unresolved"]
    assert base[2][8:] == ["—", "—", "—", "—", "reference"]
    assert base[3][1:] == [*["—"] * 11, "fail: SIGKILL while loading: the worker was killed by SIGKILL"]


def test_status_comes_right_behind_the_title() -> None:
    found = render(make_run()).splitlines()
    assert found[0] == "# vlmgate: 20250101T000000Z-smoke"
    assert found[2] == "**8 of 9 gates decided (88 %): 5 pass, 3 fail, 1 unresolved; 2 skipped**"


def test_sentences_with_their_reasons() -> None:
    found = render(make_run()).splitlines()
    at = found.index(f"- {FAIL}")
    assert found[at + 1] == "  - why the line is there: captions must stay usable"
    assert found.count(f"- {CRASH}") == 1
    assert f"- {UNRESOLVED}" in found
    assert found.index("## Failed (3 gates)") < at < found.index("## Unresolved (1 gate)")


def test_the_last_lines_of_a_log_stand_folded_behind_the_failed_gates() -> None:
    run, case = make_run(), "blip-base/int8-dynamic/scenes"
    killed = replace(run.failures[0], log='  File "a.py", line 3\n````\n</details>\n| \x1b[31mRuntimeError: gone')
    elsewhere, users = (
        Failure("", "fetching", "OSError", "no disk", "the disk is full"),
        Failure("x", "loading", "VlmgateError", "no", "?"),
    )
    cases = tuple(replace(record, failure=killed) if record.id == case else record for record in run.cases)
    text = render(replace(run, cases=cases, failures=(killed, elsewhere, users)))
    shown = text.partition("<summary>The last lines that workers wrote before they failed</summary>\n\n")[2]
    assert shown.partition("\n\n</details>")[0].splitlines() == [
        *(f"{case}: SIGKILL while loading", "", "`````text", '  File "a.py", line 3', "````", "</details>"),
        *("|  [31mRuntimeError: gone", "`````", "", "worker: OSError while fetching", "", "```text", "the disk is full", "```"),
    ], "as they are, in a fence that they cannot close; none of a mistake whose sentence says all"
    assert text.index("## Failed") < text.index("The last lines that workers") < text.index("## Unresolved")
    silent = replace(killed, log=" ")
    cases = tuple(replace(record, failure=silent) if record.id == case else record for record in run.cases)
    assert "The last lines" not in render(replace(run, cases=cases, failures=(silent,)))


def test_waived_fails_have_a_section() -> None:
    found = render(with_outcomes(make_run(), Outcome.WAIVED))
    assert "11 waived" in found.splitlines()[2] and "## Waived (11 gates)" in found and f"- {FAIL}" in found
    assert "## Waived" not in render(make_run())


def test_all_unresolved_says_so() -> None:
    assert "Nothing was decided: this is no green run." in render(with_outcomes(make_run(), Outcome.UNRESOLVED))


def test_names_and_captions_make_no_cells_and_no_tags() -> None:
    run = make_run()
    bad = "a|b<script>x</script>\n| c | `d` ![i](http://x) _e_ *f*"
    case = record("scene-blip", bad, captions={"0": bad})
    run = replace(run, cases=(run.cases[0], case), notes=("# no head", "<img src=x>"))
    text = render(run)
    for table in tables(text):
        assert len({len(line) for line in table}) == 1
    assert "<script>" not in text
    assert "<img" not in text
    assert "\n# no head" not in text
    assert set(re.findall(r"<[^>]+>", text)) <= {"<details>", "</details>", "<summary>", "</summary>"}
    assert not re.search(r"(?<!\\)\]\(", text)  # no link and no image


def test_details_close_and_are_set_off_by_blank_lines() -> None:
    text = render(make_run())
    assert text.count("<details>") == text.count("</details>") == 5
    assert all(after == "\n\n" for after in re.findall(r"</summary>(\n+)", text))  # else GitHub shows the source of the table


def test_environment_versions_and_signature() -> None:
    cells = [tuple(line) for line in tables(render(make_run()))[-1]]
    assert ("torch", "2.13.0") in cells
    assert ("isa", "avx512_vnni") in cells
    assert ("scenes sha256", "d" * 64) in cells
    assert any(name == "scores" and "pycocoevalcap" in value for name, value in cells)


def test_only_captions_that_differ_are_shown() -> None:
    shown = tables(render(make_run()))[4]
    case = "scene-blip/int8-dynamic/scenes"
    assert shown[2:] == [
        [case, "1", "a red cube number 1", "a &lt;b&gt;blue&lt;/b&gt; \\| cube"],
        [case, "3", "a red cube number 3", "\\=a red cube"],
    ]


def test_a_run_without_anything() -> None:
    text = render(make_run(cases=(), blocks=(), verdicts=(), failures=()))
    assert "**0 of 0 gates decided: 0 pass, 0 fail, 0 unresolved**" in text
    assert "## Failed" not in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("low_precision_share", "low_precision_share"),
        ("_e_", r"\_e\_"),
        ("a\nb", "a b"),
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
        ("- item", r"\- item"),
        ("size [MB]", "size [MB]"),
        ("[a](b)", r"[a\](b)"),
        ("a\\|b", r"a\\\|b"),
    ],
)
def test_escape(text: str, escaped: str) -> None:
    assert escape(text) == escaped
