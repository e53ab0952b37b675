"""The environment fingerprint: parsed from real text of several machines, equal when asked twice, silent about who runs it."""

import getpass
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from record_samples import KEY

from vlmgate.record import environment
from vlmgate.record.codec import from_json, to_json
from vlmgate.record.environment import (
    cpu_quota,
    differences,
    environment_name,
    fingerprint,
    parse_cpuinfo,
    parse_gpus,
    usable_cores,
)
from vlmgate.spec import Environment


def test_the_fingerprint_has_its_fields_and_survives_json() -> None:
    made = fingerprint(2)
    assert list(made.key) == ["cpu", "isa", "cores", "threads", "gpu", "os", "image_backend", "waiting"]
    assert made.key["threads"] == 2 and made.key["os"] == f"{platform.system()} {platform.machine()}"
    assert made.key["cpu"] and made.key["isa"]
    assert made.info["versions"]["numpy"] == version("numpy")
    assert made.info["python"] == platform.python_version()
    assert from_json(Environment, to_json(made)) == made


def test_asked_twice_it_is_the_same_and_threads_change_it() -> None:
    one, again, other = fingerprint(1), fingerprint(1), fingerprint(2)
    assert (one.key, one.name) == (again.key, again.name)
    assert one.name != other.name
    assert differences(one.key, other.key) == ["threads: 1 against 2"]


def test_it_names_neither_the_machine_nor_its_user() -> None:
    text = str(to_json(fingerprint(1)))
    if len(platform.node()) > 3:  # "vm" is in many words
        assert platform.node() not in text
    if getpass.getuser() != "root":
        assert getpass.getuser() not in text


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no affinity")
def test_cores_are_those_of_the_affinity() -> None:
    everything = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(everything)})
        assert usable_cores() == 1 == fingerprint(1).key["cores"]
    finally:
        os.sched_setaffinity(0, everything)


def cpuinfo(flags: str, name: str = "Intel(R) Xeon(R) Processor") -> str:
    one = f"processor\t: 0\nmodel name\t: {name}\nflags\t\t: fpu {flags}\nbogomips\t: 5200.00\n\n"
    return one + one.replace(": 0", ": 1")


@pytest.mark.parametrize(
    ("flags", "isa"),
    [
        ("sse2 avx avx2 avx_vnni avx512f avx512_vnni amx_int8", "amx_int8"),
        ("sse2 avx avx2 avx_vnni avx512f avx512_vnni amx_bf16", "avx512_vnni"),
        ("sse2 avx avx2 avx512f avx512bw", "avx512"),
        ("sse2 avx avx2 avx_vnni", "avx_vnni"),
        ("sse2 avx avx2", "avx2"),
        ("sse2 avx", "avx"),
        ("sse2", "sse2"),
    ],
)
def test_the_highest_level_of_x86(flags: str, isa: str) -> None:
    name, levels = parse_cpuinfo(cpuinfo(flags))
    assert (name, levels[0]) == ("Intel(R) Xeon(R) Processor", isa)
    assert "sse2" in levels


@pytest.mark.parametrize(
    ("features", "isa"), [("asimd asimddp i8mm", "i8mm"), ("asimd asimddp", "dotprod"), ("fp asimd", "neon")]
)
def test_arm_has_no_model_name_but_a_part(features: str, isa: str) -> None:
    text = f"processor\t: 0\nFeatures\t: fp {features}\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    name, levels = parse_cpuinfo(text)
    assert (name, levels[0]) == ("ARM 0x41 0xd40", isa)


def test_an_unknown_processor_still_has_a_name() -> None:
    name, levels = parse_cpuinfo("processor : 0\nhart : 0\n")
    assert name and levels == []


@pytest.mark.parametrize(
    ("cpu", "slug"),
    [
        ("Intel(R) Xeon(R) Processor", "intel-xeon"),
        ("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", "intel-xeon-platinum-8370c"),
        ("AMD EPYC 7763 64-Core Processor", "amd-epyc-7763"),
        ("Apple M2", "apple-m2"),
        ("ARM 0x41 0xd40", "arm-0x41-0xd40"),
        ("???", "unknown"),
    ],
)
def test_the_name_begins_with_the_processor(cpu: str, slug: str) -> None:
    name = environment_name({**KEY, "cpu": cpu})
    assert name.startswith(f"{slug}-avx2-2c-2t-")
    assert len(name.rsplit("-", 1)[1]) == 8


def test_the_name_changes_with_every_field_and_not_with_their_order() -> None:
    names = {environment_name({**KEY, field: "other"}) for field in KEY}
    assert len(names | {environment_name(KEY)}) == len(KEY) + 1
    assert environment_name(dict(reversed(KEY.items()))) == environment_name(KEY)
    assert environment_name({**KEY, "gpu": "NVIDIA A10"}).startswith("test-avx2-nvidia-a10-2c-2t-")


def test_differences_are_lines_to_read() -> None:
    other = {**KEY, "isa": "amx_int8", "gpu": "NVIDIA A10", "extra": 1}
    assert differences(KEY, KEY) == []
    assert differences(KEY, other) == [
        "isa: avx2 against amx_int8",
        "gpu: none against NVIDIA A10",
        "extra: not recorded against 1",
    ]


GPUS = "0, GPU-aaa1, 550.54, NVIDIA A10\n1, GPU-bbb2, 550.54, NVIDIA H200, SXM\n"


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["NVIDIA A10", "NVIDIA H200, SXM"]),
        ("1,0", ["NVIDIA H200, SXM", "NVIDIA A10"]),
        ("GPU-bbb", ["NVIDIA H200, SXM"]),
        ("", []),
        ("-1", []),
        ("0,7,1", ["NVIDIA A10"]),
        ("MIG-1234", ["MIG slice of NVIDIA A10"]),
    ],
)
def test_gpus_are_those_the_process_may_see(visible: str | None, names: list[str]) -> None:
    assert parse_gpus(GPUS, visible) == (names, "550.54")


def test_no_gpu_is_no_name() -> None:
    assert parse_gpus("", None) == ([], "") == parse_gpus("No devices were found\n", "0")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_quota_is_the_smallest_on_the_way_up(tmp_path: Path) -> None:
    proc, system = tmp_path / "proc", tmp_path / "sys"
    assert cpu_quota(proc, system) is None
    write(proc / "self/cgroup", "0::/user/job\n")
    write(system / "fs/cgroup/user/job/cpu.max", "max 100000\n")
    assert cpu_quota(proc, system) is None
    write(system / "fs/cgroup/user/cpu.max", "150000 100000\n")
    write(system / "fs/cgroup/cpu.max", "400000 100000\n")
    assert cpu_quota(proc, system) == 1.5


def test_the_quota_of_the_first_kind_of_control_groups(tmp_path: Path) -> None:
    write(tmp_path / "fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    write(tmp_path / "fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    assert cpu_quota(tmp_path, tmp_path) is None
    write(tmp_path / "fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n")
    assert cpu_quota(tmp_path, tmp_path) == 2.5


def git(folder: Path, *words: str) -> str:
    options = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *options, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    info = fingerprint(1, tmp_path).info
    assert (info["commit"], info["dirty"]) == ("", False)
    git(tmp_path, "init", "-q")
    info = fingerprint(1, tmp_path).info  # a repository without a commit
    assert (info["commit"], info["dirty"]) == ("", False)
    (tmp_path / "a").write_text("a")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "a")
    (tmp_path / "untracked").write_text("")
    info = fingerprint(1, tmp_path).info
    assert (info["commit"], info["dirty"]) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "a").write_text("b")
    assert fingerprint(1, tmp_path).info["dirty"] is True


def test_without_proc_and_tools_it_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PROC", tmp_path)
    monkeypatch.setattr(environment, "SYS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    made = fingerprint(1)
    assert made.key["cpu"] and made.key["isa"] == platform.machine().lower()
    assert (made.key["gpu"], made.info["commit"], made.info["governor"]) == ("", "", "")
