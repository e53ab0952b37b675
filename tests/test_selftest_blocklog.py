"""The log of a study: every block in it before the next begins, gone on with after a kill, refused where it is another."""

import json
from pathlib import Path

import pytest

from vlmgate.selftest.blocklog import Entry, go_on, open_log
from vlmgate.spec import VlmgateError

HEAD = {"model": "tiny", "settings": {"rounds": 2, "batches": (1, 4)}}
BLOCKS = [("a", 0), ("b", 0), ("b", 1), ("a", 1)]


def entry(way: str, index: int) -> Entry:
    return Entry(way, index, 2.0, 0.1, {"x": 0.5 + index}, arms=("fp32", way))


def begun(path: Path) -> list[Entry]:
    return go_on(path, open_log(path, "study", HEAD), BLOCKS[:2], entry, lambda line: None)


def test_blocks_come_back_as_they_were_written(tmp_path: Path) -> None:
    log = tmp_path / "new" / "log"
    assert begun(log) == [entry("a", 0), entry("b", 0)] == open_log(log, "study", HEAD) == open_log(log, "study")


def test_every_block_is_in_the_log_before_the_next_begins(tmp_path: Path) -> None:
    log, seen, lines = tmp_path / "log", [], []  # type: ignore[var-annotated]

    def measured(way: str, index: int) -> Entry:
        seen.append(len(open_log(log, "study")))
        return entry(way, index)

    go_on(log, open_log(log, "study", HEAD), BLOCKS, measured, lines.append)
    assert seen == [0, 1, 2, 3]
    assert lines[0] == "1 of 4: a 1, 2.0 s; about 0 min left" and len(lines) == 4


def test_a_way_whose_worker_fails_is_left_out_and_the_others_go_on(tmp_path: Path) -> None:
    log, lines = tmp_path / "log", []  # type: ignore[var-annotated]
    broken = Entry("b", 0, 1.0, -1.0, failed="no memory")
    found = go_on(log, open_log(log, "study", HEAD), BLOCKS, lambda *at: broken if at == ("b", 0) else entry(*at), lines.append)
    assert found == [entry("a", 0), broken, entry("a", 1)] == open_log(log, "study")
    assert "b 1, failed, left out: no memory" in lines[1]


def test_a_line_that_a_kill_cut_off_is_taken_away(tmp_path: Path) -> None:
    log = tmp_path / "log"
    begun(log)
    text = log.read_text(encoding="utf-8")
    log.write_text(text[:-20], encoding="utf-8")
    assert open_log(log, "study", HEAD) == [entry("a", 0)]
    assert log.read_text(encoding="utf-8") == "".join(text.splitlines(keepends=True)[:2])


def test_a_log_of_before_arms_were_noted_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    begun(log)
    head, *rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    old = [head, *({name: value for name, value in row.items() if name != "arms"} for row in rows)]
    log.write_text("".join(json.dumps(line) + "\n" for line in old), encoding="utf-8")
    assert [each.arms for each in open_log(log, "study", HEAD)] == [(), ()]


def test_a_log_of_something_else_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    begun(log)
    with pytest.raises(VlmgateError, match="was recorded with another settings; go on as it was begun"):
        open_log(log, "study", HEAD | {"settings": {"rounds": 3}})
    for kind, text in (("other", log.read_text(encoding="utf-8")), ("study", "{}\n"), ("study", ""), ("study", '{"study": 2}\n')):
        log.write_text(text, encoding="utf-8")
        with pytest.raises(VlmgateError, match=rf"is no log of docs/{kind}\.py"):
            open_log(log, kind)
