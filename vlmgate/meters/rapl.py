"""The energy counters of processors that Linux shows (powercap: Intel RAPL, and AMD's under the same name).

https://docs.kernel.org/power/powercap/powercap.html: ``energy_uj`` counts microjoules up to ``max_energy_range_uj`` and begins
again at zero. A package holds its cores; on servers the memory (dram) is counted beside it, so the two are added.
"""

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Domain:
    """One counter, unwrapped: reading it at least once a turn of the counter (minutes) loses nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.span = int(_read(folder / "max_energy_range_uj"))
        self.last = int(_read(folder / "energy_uj"))
        self.microjoules = 0

    def update(self) -> int:
        """Microjoules since this object was made."""
        now = int(_read(self.folder / "energy_uj"))
        self.microjoules += now - self.last if now >= self.last else now + self.span - self.last
        self.last = now
        return self.microjoules


class Rapl:
    """All packages of the machine, with their memory where it is counted apart. It counts what other programs use, too."""

    def __init__(self, folders: list[Path]) -> None:
        self.domains = [Domain(folder) for folder in folders]
        self.name = "RAPL " + " + ".join(_read(folder / "name") for folder in folders)

    def joules(self) -> float:
        """Energy of all domains since the meter was made."""
        return sum(domain.update() for domain in self.domains) / 1e6


def find(powercap: Path = POWERCAP) -> tuple[Rapl | None, str]:
    """The meter, or None and why there is none."""
    folders = [folder for folder in sorted(powercap.glob("intel-rapl:*")) if _counts(folder)]
    if not folders:
        return None, (
            f"this machine shows no energy counter of its processor ({powercap} has no RAPL package; virtual machines seldom "
            "have one): run on bare metal, or leave the question out"
        )
    try:
        return Rapl(folders), ""
    except OSError as error:
        return None, (
            f"the energy counter may not be read here ({error.strerror}: {error.filename}; Linux keeps it for root): "
            f"`sudo chmod a+r {powercap}/intel-rapl:*/energy_uj`, or leave the question out"
        )
    except ValueError as error:
        return None, f"the energy counter under {powercap} is not a number ({error}): leave the question out"


def _counts(folder: Path) -> bool:
    """Packages, and memory beside them; cores lie within a package, and ``psys`` holds the packages."""
    try:
        name = _read(folder / "name")
    except OSError:
        return False
    return name.startswith("package") or name == "dram"


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
