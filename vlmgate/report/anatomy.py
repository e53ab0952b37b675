"""The second table of a group: the anatomy of its latency, with only the columns that were measured."""

from collections.abc import Callable, Sequence

from vlmgate.judge.anatomy import Anatomy
from vlmgate.report.rows import Group

Line = tuple[str, ...]
Scaled = Callable[..., str]  # `terminal.scaled`: a figure for a cell


def columns(group: Group, scaled: Scaled) -> tuple[Line, list[Line]]:
    """Head and body; the body is empty where nothing was timed. Milliseconds a call, images a second, joules a caption above
    the idle power, the peak of what torch allocated on a GPU."""
    timed = [(row, row.anatomy) for row in group.rows if row.anatomy]
    found = [anatomy for _, anatomy in timed]
    sizes = sorted({size for anatomy in found for size in anatomy.throughput})
    energy, gpu = any(anatomy.energy is not None for anatomy in found), any(row.gpu_memory for row, _ in timed)
    head: Line = ("variant", "first\ntoken\n[ms]", "further\ntoken\n[ms]", "call\np50\n[ms]", "call\np90\n[ms]", "tokens")
    head += tuple(f"images/s\nbatch\n{size}" for size in sizes) + (("energy/\nimage [J]\nabove idle",) if energy else ())
    head += ("GPU\nmemory\n[MB]", f"×\n{group.reference}") if gpu else ()
    return head, [
        (
            row.variant,
            *_cells(anatomy, sizes, energy, scaled),
            *((scaled(row.gpu_memory, 1e-6), scaled(row.gpu_ratio)) if gpu else ()),
        )
        for row, anatomy in timed
    ]


def _cells(of: Anatomy, sizes: Sequence[int], energy: bool, scaled: Scaled) -> list[str]:
    times = [scaled(seconds, 1000) for seconds in (of.first_token, of.per_token, of.p50, of.p90)]
    rates = [scaled(of.throughput.get(size)) for size in sizes]
    return [*times, str(of.tokens), *rates, *([scaled(of.energy)] if energy else [])]
