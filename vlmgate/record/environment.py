"""The environment fingerprint: what moves the numbers (key) and what may have changed (info), found without torch."""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vlmgate.spec import Environment

# Highest first, by the names Linux gives in /proc/cpuinfo. The x86 order is that in which oneDNN picks its kernels
# (https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html).
X86 = ("amx_int8", "avx512_vnni", "avx512f", "avx_vnni", "avx2", "avx", "sse4_2", "sse2")
ARM = ("i8mm", "asimddp", "asimd", "neon")
PLAIN = {"avx512f": "avx512", "asimddp": "dotprod", "asimd": "neon"}
LIBRARIES = (
    *("vlmgate", "torch", "transformers", "tokenizers", "safetensors", "pillow", "numpy", "scipy", "pytest", "pytest-benchmark"),
    *("memray", "pycocoevalcap", "torchao", "bitsandbytes", "optimum", "onnxruntime", "openvino", "accelerate"),
)
# How long threads of GNU OpenMP spin before they sleep (gcc.gnu.org/onlinedocs/libgomp). Without spinning, waking a thread costs
# more than a small model's layer takes; without a bound, a busy neighbour brings everything to a halt.
WAITING = {"GOMP_SPINCOUNT": "10000"}
PROC = Path("/proc")
SYS = Path("/sys")


def fingerprint(threads: int, folder: Path = Path()) -> Environment:
    """The environment of this process when it computes with ``threads`` threads; ``folder`` is where the commit is looked up.

    ``key`` holds cpu (model name), isa (highest level for INT8), cores (usable, by affinity), threads, gpu ("" without), os,
    image_backend and waiting (of OpenMP threads). ``info`` holds python, versions, commit, dirty, kernel, memory (bytes),
    cpu_quota (cores, or None), governor, load_average, isa_levels (all that are there) and gpu_driver; nothing that names the
    machine or its user. Never raises.
    """
    cpu, levels = processor()
    gpus, driver = _gpus()
    key = {
        "cpu": cpu,
        "isa": levels[0] if levels else platform.machine().lower(),
        "cores": usable_cores(),
        "threads": threads,
        "gpu": ", ".join(gpus),
        "os": f"{platform.system()} {platform.machine()}",
        "image_backend": "pil",
        "waiting": ", ".join(f"{name}={value}" for name, value in WAITING.items()),
    }
    commit, dirty = _commit(folder)
    info = {
        "python": platform.python_version(),
        "versions": versions(),
        "commit": commit,
        "dirty": dirty,
        "kernel": platform.release(),
        "memory": _memory(),
        "cpu_quota": cpu_quota(),
        "governor": _read(SYS / "devices/system/cpu/cpu0/cpufreq/scaling_governor").strip(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "isa_levels": levels,
        "gpu_driver": driver,
    }
    return Environment(key, info, environment_name(key))


def environment_name(key: Mapping[str, Any]) -> str:
    """A short folder name: processor, ISA level, GPU where there is one, cores, threads, and 8 hex digits of the key's sha256."""
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:8]
    gpu = [_slug(str(key["gpu"]))] if key.get("gpu") else []
    return "-".join([_slug(str(key["cpu"])), str(key["isa"]), *gpu, f"{key['cores']}c", f"{key['threads']}t", digest])


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """One line for each field in which two keys differ: ``isa: avx512_vnni against avx2``; empty where they match."""
    names = [*a, *(name for name in b if name not in a)]
    return [f"{name}: {_shown(a, name)} against {_shown(b, name)}" for name in names if _shown(a, name) != _shown(b, name)]


def _shown(key: Mapping[str, Any], name: str) -> str:
    return str(key.get(name, "not recorded")) or "none"


def _slug(name: str) -> str:
    """``Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz`` → ``intel-xeon-platinum-8370c``, at most 40 letters."""
    name = re.sub(r"\((R|TM|C)\)|@.*|\b(CPU|Processor|with|\d+-Core)\b", " ", name, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "unknown"


def processor() -> tuple[str, list[str]]:
    """Model name of the processor and its instruction set levels for INT8, highest first."""
    if text := _read(PROC / "cpuinfo"):
        return parse_cpuinfo(text)
    if sys.platform == "darwin":
        names = {"hw.optional.arm.FEAT_I8MM": "i8mm", "hw.optional.arm.FEAT_DotProd": "dotprod", "hw.optional.neon": "neon"}
        names |= {"hw.optional.avx512f": "avx512", "hw.optional.avx2_0": "avx2"}
        levels = [level for option, level in names.items() if _output("sysctl", "-n", option) == "1"]
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine(), levels
    return platform.processor() or platform.machine() or "unknown", []


def parse_cpuinfo(text: str) -> tuple[str, list[str]]:
    """Model name and ISA levels, highest first, from the text of Linux' /proc/cpuinfo (x86 and ARM)."""
    found: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in text.splitlines()):
        found.setdefault(name.strip(), value.strip())
    flags = set(found.get("flags", "").split() + found.get("Features", "").split())
    arm = f"ARM {found['CPU implementer']} {found.get('CPU part', '')}".strip() if "CPU implementer" in found else ""
    name = found.get("model name") or arm or platform.processor() or platform.machine()
    return name, _levels(flags)


def _levels(flags: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(PLAIN.get(level, level) for level in (*X86, *ARM) if level in flags))


def usable_cores() -> int:
    """Cores this process may run on: its affinity where the system has such a thing, else all."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def cpu_quota(proc: Path = PROC, sys_folder: Path = SYS) -> float | None:
    """Cores' worth of time the control groups of this process allow, None where there is no limit (cgroup v2, then v1)."""
    quotas = []
    own = re.search(r"^0::(/.*)$", _read(proc / "self/cgroup"), re.MULTILINE)
    group = sys_folder / "fs/cgroup" / (own[1].strip("/") if own else "")
    for folder in (group, *group.parents):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.strip().isdigit():
            quotas.append(int(quota) / int(period))
    old = [_read(sys_folder / "fs/cgroup/cpu" / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    if all(value.isdigit() for value in old):  # -1 means no limit
        quotas.append(int(old[0]) / int(old[1]))
    return min(quotas, default=None)


def versions() -> dict[str, str]:
    """Versions of the libraries that may move the numbers, of those installed, without importing any."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _gpus() -> tuple[list[str], str]:
    """Names of the NVIDIA GPUs this process may see, in its order, and the driver's version; asks no CUDA library."""
    text = _output("nvidia-smi", "--query-gpu=index,uuid,driver_version,name", "--format=csv,noheader")
    return parse_gpus(text, os.environ.get("CUDA_VISIBLE_DEVICES"))


def parse_gpus(text: str, visible: str | None) -> tuple[list[str], str]:
    """Names and driver from nvidia-smi's lines ``index, uuid, driver, name`` and the value of CUDA_VISIBLE_DEVICES, if set."""
    rows = [parts for line in text.splitlines() if len(parts := [part.strip() for part in line.split(",", 3)]) == 4]
    driver = rows[0][2] if rows else ""
    if visible is None:
        return [row[3] for row in rows], driver
    names = []
    for wanted in (part.strip() for part in visible.split(",")):
        row = next((row for row in rows if wanted and (row[0] == wanted or row[1].startswith(wanted))), None)
        if row is None and rows and wanted.startswith("MIG"):  # a slice has its own uuid, which is no row of this list
            names.append("MIG slice of " + rows[0][3])
        elif row is None:
            break  # CUDA, too, ignores what follows the first invalid entry
        else:
            names.append(row[3])
    return names, driver


def _commit(folder: Path) -> tuple[str, bool]:
    """Commit of the repository ``folder`` lies in and whether tracked files differ from it; "" outside a repository."""
    commit = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return "", False
    return commit, bool(_output("git", "--no-optional-locks", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"))


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _output(*command: str) -> str:
    """Standard output of a command, "" where it is absent, fails or takes over 10 seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
