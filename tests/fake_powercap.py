"""A tree such as Linux shows under /sys/class/powercap, with counters that a test sets."""

from pathlib import Path

SPAN = 262_143_328_850  # microjoules, as of many processors
DOMAINS = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram", "intel-rapl:1": "psys"}


def write_powercap(root: Path, domains: dict[str, str] = DOMAINS, span: int = SPAN) -> Path:
    """All counters at zero; returns ``root``."""
    for folder, name in domains.items():
        (root / folder).mkdir(parents=True)
        (root / folder / "name").write_text(name + "\n")
        (root / folder / "max_energy_range_uj").write_text(f"{span}\n")
        set_counter(root, folder, 0)
    return root


def set_counter(root: Path, folder: str, microjoules: int) -> None:
    """What ``energy_uj`` of a domain reads from now on."""
    (root / folder / "energy_uj").write_text(f"{microjoules}\n")
