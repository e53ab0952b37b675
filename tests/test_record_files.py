"""Files of a run: written whole or not at all, read back equal, found again; each error with its sentence."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from record_samples import child, make_run, record

from vlmgate.record import files
from vlmgate.record.files import (
    atomic_write,
    find_run,
    locked,
    new_run_folder,
    read_run,
    safe_name,
    write_run,
    write_together,
)
from vlmgate.spec import Other, VlmgateError


def test_run_comes_back_equal(tmp_path: Path) -> None:
    run = make_run()
    path = write_run(run, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "run.json"
    assert read_run(path) == run == read_run(path.parent)
    assert json.loads(path.read_text())["schema"] == 1
    assert [p.name for p in path.parent.iterdir()] == ["run.json"]


def test_an_engine_that_stands_in_the_recipe_of_an_old_run_is_read_beside_it(tmp_path: Path) -> None:
    case = record(engine="x86")
    path = write_run(make_run(case, other=Other("HEAD~1", {}, (case,))), tmp_path)
    now, data = read_run(path), json.loads(path.read_text())
    for each in (data["cases"][0], data["other"]["cases"][0]):
        each["recipe"]["engine"] = each.pop("engine")
    path.write_text(json.dumps(data))
    assert read_run(path) == now and now.cases[0].engine == "x86"


def test_a_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    assert atomic_write(tmp_path / "ours", "").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_text_and_bytes_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert atomic_write(path, "ü\n").read_bytes() == b"\xc3\xbc\n"
    assert atomic_write(path, b"\x00").read_bytes() == b"\x00"


def break_run(tmp_path: Path, **changes: Any) -> Path:
    path = write_run(make_run(), tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds": "long"}, r"\$\.seconds expected pattern"),
        ({"seconds": None}, r'at \$\.seconds expected type \["number", "string"\], found null'),
        ({"status": "fine"}, r'\$\.status expected enum \["complete", "interrupted"\], found "fine"'),
        ({"colour": "red"}, r"at \$: unknown key 'colour'; known: absent"),
        ({"environment": {"key": {}, "info": {}}}, r"\$\.environment lacks the key 'name'"),
        ({"blocks": [{}]}, r"\$\.blocks\[0\] lacks the key 'model'"),
        ({"schema": 2}, "made by a newer vlmgate: schema 2, this one reads up to 1; upgrade"),
    ],
)
def test_a_run_that_breaks_the_schema_is_named_with_the_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = break_run(tmp_path, **changes)
    with pytest.raises(VlmgateError, match=message) as caught:
        read_run(path)
    assert str(path) in str(caught.value)


def test_a_number_no_float_can_hold_is_named_with_the_file(tmp_path: Path) -> None:
    path = write_run(make_run(), tmp_path)
    path.write_text(path.read_text().replace('"seconds": 12.5', '"seconds": 1e999'))
    with pytest.raises(VlmgateError, match=r"run\.json: seconds: expected a number"):
        read_run(path)


@pytest.mark.parametrize("key", ["id", "reference"])
def test_an_id_that_is_none_is_named_with_the_place(tmp_path: Path, key: str) -> None:
    cases = json.loads(write_run(make_run(), tmp_path).read_text())["cases"]
    cases[1][key] = "blip"
    with pytest.raises(
        VlmgateError, match=rf'at \$\.cases\[1\]\.{key} expected pattern .*, found "blip" .*; mend or restore the file'
    ):
        read_run(break_run(tmp_path, cases=cases))


def test_a_truncated_run_says_so(tmp_path: Path) -> None:
    path = write_run(make_run(), tmp_path)
    whole = path.read_text()
    for end in (len(whole) // 3, len(whole) // 2, len(whole) - 3):
        path.write_text(whole[:end])
        with pytest.raises(VlmgateError, match="is truncated"):
            read_run(path)


def test_a_run_that_breaks_the_schema_is_not_written(tmp_path: Path) -> None:
    old = write_run(make_run(), tmp_path).read_bytes()
    with pytest.raises(VlmgateError, match=r"\$\.status expected enum"):
        write_run(make_run(status="fine"), tmp_path)
    assert (tmp_path / "run.json").read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(VlmgateError, match=r"cannot write run\.json in .*file.*: .*another folder"):
            write_run(make_run(), folder)
    with pytest.raises(VlmgateError, match="cannot make a folder for the run in"):
        new_run_folder(tmp_path / "file", "smoke")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(VlmgateError, match=r"cannot write run\.json in "):
        write_run(make_run(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_no_room_leaves_the_old_files_and_no_rest(tmp_path: Path) -> None:
    first, second = atomic_write(tmp_path / "a", "old a"), atomic_write(tmp_path / "b", "old b")
    code = """
import sys
from pathlib import Path
from vlmgate.record.files import write_together
from vlmgate.spec import VlmgateError
try:
    write_together({Path(sys.argv[1]): "new", Path(sys.argv[2]): "long" * 1000})
except VlmgateError as error:
    print(error)
"""
    out, err = child(code, first, second, limit=1000).communicate()
    assert f"cannot write b in {tmp_path}: File too large" in out, err
    assert (first.read_text(), second.read_text()) == ("old a", "old b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_kill_before_the_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_run(make_run(), tmp_path)
    code = """
import os, signal, sys
from pathlib import Path
from record_samples import make_run
from vlmgate.record.files import write_run
Path.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
write_run(make_run(tier="other"), Path(sys.argv[1]))
"""
    process = child(code, tmp_path)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert read_run(path).tier == "smoke"
    assert len(list(tmp_path.iterdir())) == 2  # the temporary is there: the kill came where it was meant to
    assert find_run(tmp_path.parent, tmp_path.name) == path


def test_writing_together_returns_the_paths_in_order(tmp_path: Path) -> None:
    contents: dict[Path, str | bytes] = {tmp_path / "z" / "1": "one", tmp_path / "a" / "2": b"two"}
    assert write_together(contents) == list(contents)
    assert (tmp_path / "a" / "2").read_text() == "two"


HOLD = """
import sys
from pathlib import Path
from vlmgate.record.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_keeps_a_second_process_out_until_the_first_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = child(HOLD, path)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    message = rf"written by another vlmgate \(process {holder.pid}\); wait"
    with pytest.raises(VlmgateError, match=message), locked(path, patience=0.2):
        pytest.fail("two held it")
    holder.communicate()
    with locked(path, patience=5.0):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = child(HOLD, path)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()
    assert path.exists()  # left behind, and yet
    with locked(path, patience=5.0):
        pass


def test_a_lock_on_a_file_just_removed_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "lock", files._try_lock
    times = iter(range(100))

    def removed_by_its_last_holder(descriptor: int) -> bool:
        if next(times) == 0:
            path.unlink()
        return real(descriptor)

    monkeypatch.setattr(files, "_try_lock", removed_by_its_last_holder)
    with locked(path, patience=5.0), pytest.raises(VlmgateError, match="another vlmgate"), locked(path, patience=0.1):
        pytest.fail("two held it")


def test_many_at_once_hold_the_lock_one_after_the_other(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from vlmgate.record.files import locked
counter = Path(sys.argv[2])
for _ in range(20):
    with locked(Path(sys.argv[1]), 60.0):
        value = int(counter.read_text())
        time.sleep(0.001)
        counter.write_text(str(value + 1))
"""
    (tmp_path / "count").write_text("0")
    for process in [child(code, tmp_path / "lock", tmp_path / "count") for _ in range(3)]:
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert (tmp_path / "count").read_text() == "60"


def test_run_folders_never_collide(tmp_path: Path) -> None:
    folders = [new_run_folder(tmp_path / "results", "smoke:1") for _ in range(5)]
    assert len(set(folders)) == 5
    assert all(folder.is_dir() and "Z-smoke@1" in folder.name for folder in folders)


def test_safe_names_differ_where_names_do() -> None:
    names = ["scenes", "scenes:2000", "scenes@2000", "scenes%3A2000", "a/b", "a\\b", "..", ".", "é", "a b", "scenes-2000"]
    assert safe_name("scenes:2000") == "scenes@2000"
    assert len({safe_name(name) for name in names}) == len(names)
    assert all(not safe_name(name).startswith(".") and "/" not in safe_name(name) for name in names)


def stored(results: Path, name: str) -> Path:
    return write_run(make_run(record("fp32"), name=name), results / name)


def test_find_the_latest_and_by_name_and_by_path(tmp_path: Path) -> None:
    older = stored(tmp_path, "20250101T000000Z-full")
    newest = stored(tmp_path, "20250102T000000Z-smoke")
    stored(tmp_path, "20241231T000000Z-smoke")
    (tmp_path / "20250103T000000Z-smoke").mkdir()  # interrupted before anything was written
    assert find_run(tmp_path, "latest") == newest
    assert find_run(tmp_path, "20250101T000000Z-full") == older
    assert find_run(tmp_path, str(older)) == older == find_run(tmp_path / "elsewhere", str(older.parent))


def test_of_two_runs_in_one_second_the_later_written_is_the_latest(tmp_path: Path) -> None:
    second, tenth = (stored(tmp_path, f"20250101T000000Z-smoke-{n}") for n in (2, 10))
    os.utime(second, ns=(1, 1))
    assert find_run(tmp_path, "latest") == tenth


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(VlmgateError, match=r"no run 'latest' in .*there is none yet: make one with"):
        find_run(tmp_path / "none", "latest")
    stored(tmp_path, "20250101T000000Z-full")
    with pytest.raises(VlmgateError, match=r"no run '20250101T000000Z-ful' .*did you mean 20250101T000000Z-full\?"):
        find_run(tmp_path, "20250101T000000Z-ful")
    with pytest.raises(VlmgateError, match="does not exist"):
        read_run(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(VlmgateError, match=r"file is no folder; give the folder that holds the runs \(--results DIR\)"):
        find_run(tmp_path / "file", "latest")
