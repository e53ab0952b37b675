"""ceilings.json (what this machine can do at best) and work.json (what a caption takes), from which shares of a roofline come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vlmgate.record.document import layout, read_document
from vlmgate.record.files import atomic_write
from vlmgate.spec import Environment, Run, VlmgateError
from vlmgate.stats import floor_seconds

CEILINGS_FILE, WORK_FILE = "ceilings.json", "work.json"
SCHEMA = 1
MACHINE = ("cpu", "isa", "cores", "os")  # of an environment's key: what ceilings belong to
Rates = Mapping[str, Sequence[Any]]  # type or `BANDWIDTH` → (operations or bytes a second, how)


@dataclass(frozen=True)
class Ceilings:
    """Measured on one machine with so many threads. ``rates``: type (fp32, bf16, fp16, int8) → operations a second, and
    ``bandwidth`` → bytes a second; ``how``: the same keys → which product or read was the fastest."""

    machine: Mapping[str, Any]
    threads: int
    rates: Mapping[str, float]
    how: Mapping[str, str]
    measured: str  # ISO 8601, UTC
    versions: Mapping[str, str]

    def of(self, environment: Environment, threads: int) -> bool:
        """Whether they are those of an environment, with so many threads."""
        return self.threads == threads and self.machine == machine_of(environment)


def machine_of(environment: Environment) -> dict[str, Any]:
    """What of an environment the ceilings depend on."""
    return {name: environment.key.get(name) for name in MACHINE}


def best_of(tries: Iterable[Rates]) -> dict[str, Sequence[Any]]:
    """The fastest of each type. A ceiling is a best case, and what disturbs a try only slows it: the maximum is nearest to it."""
    found = dict[str, Sequence[Any]]()
    for each in tries:
        for name, (rate, how) in each.items():
            if name not in found or rate > found[name][0]:
                found[name] = (rate, how)
    return found


def raised(ceilings: Sequence[Ceilings]) -> list[Ceilings]:
    """The same, with no rate below that of fewer threads on the same machine.

    A program may leave threads idle, so whatever fewer reach, more can reach. A lower figure tells of a neighbour on the machine
    or of a library that splits its work badly; as a ceiling it would make shares of the roofline too high.
    """
    ordered = sorted(ceilings, key=lambda each: each.threads)
    return [
        _raised(of, [each for each in ordered if each.machine == of.machine and each.threads < of.threads]) for of in ceilings
    ]


def _raised(of: Ceilings, fewer: Iterable[Ceilings]) -> Ceilings:
    rates, how = dict(of.rates), dict(of.how)
    for each in fewer:
        for name, rate in each.rates.items():
            if rate > rates.get(name, 0.0):
                rates[name], how[name] = rate, f"{each.how.get(name, '')} with {each.threads} of the threads"
    return replace(of, rates=rates, how=how)


def read_ceilings(results: Path) -> list[Ceilings]:
    """All that were measured, of whatever machine; none without a file. Raises VlmgateError for a file that is damaged."""
    path = results / CEILINGS_FILE
    if not path.exists():
        return []
    data = read_document(path)
    try:
        return [Ceilings(**each) for each in _newest(data, path)["ceilings"]]
    except (LookupError, TypeError) as error:
        raise VlmgateError(f"{path} is not as `vlmgate ceilings` writes it ({error}); remove it and measure again") from None


def write_ceilings(found: Sequence[Ceilings], results: Path) -> Path:
    """Add to ceilings.json; what is there of the same machine and number of threads is replaced, and all are `raised`."""
    new = {(tuple(each.machine.items()), each.threads) for each in found}
    kept = [each for each in read_ceilings(results) if (tuple(each.machine.items()), each.threads) not in new]
    data = {"schema": SCHEMA, "ceilings": [asdict(each) for each in raised((*kept, *found))]}
    return atomic_write(results / CEILINGS_FILE, layout(data))


def read_work(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Case id → ``phases``, ``batch``, and ``why`` there are none; empty without a work.json in the run's folder."""
    path = folder / WORK_FILE
    if not path.exists():
        return {}
    cases = _newest(read_document(path), path).get("cases")
    keys = {"phases", "batch", "why"}
    if not isinstance(cases, dict) or not all(isinstance(each, dict) and each.keys() >= keys for each in cases.values()):
        raise VlmgateError(f"{path} is not as `vlmgate work` writes it; make it again")
    return cases


def write_work(cases: Mapping[str, Any], folder: Path) -> Path:
    """Write work.json into the run's folder."""
    return atomic_write(folder / WORK_FILE, layout({"schema": SCHEMA, "cases": dict(cases)}))


def floors(run: Run, work: Mapping[str, Mapping[str, Any]], ceilings: Sequence[Ceilings]) -> dict[str, float]:
    """Case id → seconds an image that the roofline allows, of those cases whose work and whose machine's ceilings are known."""
    found = {}
    for record in run.cases:
        rates = next((each.rates for each in ceilings if each.of(run.environment, record.settings.threads)), None)
        told = work.get(record.id)
        seconds = floor_seconds(told["phases"], rates) if told and rates else None
        if told and seconds:
            found[record.id] = seconds / told["batch"]
    return found


def _newest(data: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    if data.get("schema") != SCHEMA:
        raise VlmgateError(f"{path} has schema {data.get('schema')!r}, this vlmgate reads {SCHEMA}; make it again")
    return data
