"""docs/results.md: every variant of some stored runs on one page, what became slower as plainly as what became faster."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from vlmgate.record.roofline import Ceilings, floors
from vlmgate.report.markdown import escape, table
from vlmgate.report.roofline import section
from vlmgate.report.rows import Group, Row, groups
from vlmgate.report.terminal import MISSING, declared, environment_line, placebo_line, scaled, significant, timed_how
from vlmgate.spec import COMPARED, Estimate, Outcome, Run

SETTINGS = tuple(name for name in COMPARED if name not in ("images", "timed_images"))  # how many images only says how finely
INTRODUCTION = (
    "Every variant that these runs measured, the slowest too, by speed-up. Speed-up is time of the unmodified model ÷ time "
    "of the variant in the same blocks, at a fixed number of new tokens, with its 95 % interval and the number of blocks behind "
    "it; sizes (all files that ship) and peaks of the resident set are in MB of 10⁶ bytes, ÷ is to the unmodified model; CIDEr "
    "kept is score ÷ score of the unmodified model on the same images. Share of roofline is the least time that the variant's "
    "own products and weight bytes can take on this machine ÷ the time it took (docs/variants.md). A dash was not measured. "
    "What FAILED did so by suite.yaml as it was when this page was made."
)


@dataclass(frozen=True)
class Part:
    """One group of one run: what it adds to a table. ``floors``: case id → seconds an image that its roofline allows."""

    number: int  # of the run, from 1
    run: Run
    group: Group
    floors: Mapping[str, float]


@dataclass(frozen=True)
class Found:
    """What one run says of a variant. ``floor``: seconds an image that its roofline allows, where that is known."""

    part: Part
    row: Row
    images: int  # scored
    floor: float | None

    @property
    def failures(self) -> list[str]:
        """The sentences of missed gates, waived ones too, and of crashes."""
        bad = (Outcome.FAIL, Outcome.WAIVED)
        said = [each.sentence for each in self.part.run.verdicts if each.case == self.row.case and each.outcome in bad]
        return said or ([self.row.text] if self.row.verdict is Outcome.FAIL else [])


@dataclass(frozen=True)
class Line:
    """A variant in the table: each figure from the last of the runs that has it."""

    variant: str
    found: tuple[Found, ...]

    def last(self, of: Callable[[Row], Any]) -> Found | None:
        """The last run in which a figure was measured."""
        return next((each for each in reversed(self.found) if of(each.row) is not None), None)

    @property
    def timed(self) -> Found | None:
        return self.last(lambda row: row.speed_up)

    @property
    def speed_up(self) -> Estimate | None:
        return self.timed.row.speed_up if self.timed else None

    @property
    def measured(self) -> bool:
        """Whether there is anything to put into the table."""
        return any(self.last(of) for of in (lambda r: r.seconds, lambda r: r.size, lambda r: r.peak_memory, _kept))

    @property
    def failures(self) -> list[str]:
        """Those of all runs, so that no later run hides one."""
        return list(dict.fromkeys(words for each in self.found for words in each.failures))

    @property
    def is_reference(self) -> bool:
        return not self.found[-1].row.reference


def render(
    runs: Sequence[Run],
    work: Sequence[Mapping[str, Mapping[str, Any]]] = (),
    ceilings: Sequence[Ceilings] = (),
    folder: str = "results",
) -> str:
    """The page, with a newline at the end. Names and sentences are escaped.

    ``work``: for each run what `vlmgate work` wrote beside it. ``ceilings``: of any machines; each run uses its own.
    """
    work = work or [{} for _ in runs]
    parts = ["# Results", INTRODUCTION, _made_with(runs, folder), _roofline(runs, work, ceilings)]
    tables: dict[Any, list[Part]] = {}
    for number, (run, done) in enumerate(zip(runs, work, strict=True), 1):
        least = floors(run, done, ceilings)
        for group in groups(run):
            tables.setdefault(_key(run, group), []).append(Part(number, run, group, least))
    parts += [words for of in tables.values() for words in _section(of)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _roofline(runs: Sequence[Run], work: Sequence[Mapping[str, Mapping[str, Any]]], ceilings: Sequence[Ceilings]) -> str:
    """The ceilings that these runs use, and the cases whose work is not known."""
    used = [each for each in ceilings if any(each.of(run.environment, c.settings.threads) for run in runs for c in run.cases)]
    unknown = {
        case.id: done[case.id]["why"] for run, done in zip(runs, work, strict=True) for case in run.cases if case.id in done
    }
    return section(used if any(work) else (), {case: why for case, why in unknown.items() if why})


def _key(run: Run, group: Group) -> tuple[Any, ...]:
    """What figures of one table must share: model, images, settings, environment."""
    settings = {field.name: getattr(group.settings, field.name) for field in fields(group.settings)}
    return (group.model, group.dataset, group.reference, run.environment.name, *(str(settings[name]) for name in SETTINGS))


def _made_with(runs: Sequence[Run], folder: str) -> str:
    """Which runs these are, how they were made, and how this page is made again."""
    lines = ["## Made with"]
    for number, run in enumerate(runs, 1):
        versions = run.environment.info.get("versions") or {}
        known = ", ".join(f"{name} {version}" for name, version in versions.items())
        command = f"`{_code(run.command)}`" if run.command else f"tier {escape(run.tier)} (its command was not recorded)"
        stopped = "" if run.status == "complete" else f", **{escape(run.status)}**"
        lines.append(
            f"- run {number}: {escape(run.name)} ({escape(run.started)}{stopped}): {command}\n"
            f"  - {escape(environment_line(run.environment))}, {run.environment.key.get('cores', '?')} cores\n"
            f"  - {escape(known)}"
        )
    names = " ".join(run.name for run in runs) + (f" --results {folder}" if folder != "results" else "")
    lines.append(
        f"To make this page again from these runs (no torch needed): `vlmgate results {_code(names)}`. Shares of the roofline "
        f"need `vlmgate ceilings` on a quiet machine and `vlmgate work {_code(names)}` before it."
    )
    return "\n\n".join([lines[0], "\n".join(lines[1:-1]), lines[-1]])


def _code(text: str) -> str:
    """Text that is safe between backticks."""
    return text.replace("`", "'").replace("\n", " ")


def _section(parts: Sequence[Part]) -> Iterator[str]:
    """Head, count of winners and losers, table, and what was skipped or failed."""
    group, run = parts[0].group, parts[0].run
    of, numbers = group.settings, ", ".join(str(part.number) for part in parts)
    where = run.environment.key.get("isa", run.environment.name)
    yield f"## {escape(f'{group.model} on {group.dataset}, {where}{declared(of)}')}"
    yield escape(f"Run {numbers}: {timed_how(of)}{declared(of)}; {run.environment.name}.")
    lines = sorted(_lines(parts), key=_by_speed)
    yield escape(_summary(lines, group.reference))
    yield table(_head(group.reference), [_cells(line, len(parts) > 1) for line in lines if line.measured], left=(0, 10))
    yield "\n".join(f"- {escape(f'run {part.number}: {placebo_line(part.group)}')}" for part in parts if part.group.blocks)
    skipped = [line for line in lines if not line.measured and not line.failures]
    yield _listed("Skipped", [(line.variant, line.found[-1].row.text or "nothing was asked of it") for line in skipped])
    yield _listed("Failed", [(line.variant, words) for line in lines for words in line.failures])


def _lines(parts: Sequence[Part]) -> list[Line]:
    """One line a variant over all runs of a table."""
    found: dict[str, list[Found]] = {}
    for part in parts:
        scored = {record.id: len(record.quality) for record in part.run.cases}
        for row in part.group.rows:
            found.setdefault(row.variant, []).append(Found(part, row, scored[row.case], part.floors.get(row.case)))
    return [Line(variant, tuple(each)) for variant, each in found.items()]


def _by_speed(line: Line) -> tuple[float, str]:
    return (-line.speed_up.centre if line.speed_up else math.inf, line.variant)


def _summary(lines: Sequence[Line], reference: str) -> str:
    """Who is faster, who is slower, and of whom the interval does not tell."""
    timed = [(line.variant, line.speed_up) for line in lines if line.speed_up and not line.is_reference]
    slower = [name for name, of in timed if of.high < 1]
    faster = [name for name, of in timed if of.low > 1]
    untold = [name for name, of in timed if of.low <= 1 <= of.high]
    if not timed:
        return "Nothing was timed."
    words = f"Of {len(timed)} timed variants {len(faster)} are faster than {reference}, {len(slower)} slower"
    words += f" ({', '.join(slower)})" if slower else ""
    return words + (f", {len(untold)} cannot be told from it ({', '.join(untold)})." if untold else ".")


def _head(reference: str) -> tuple[str, ...]:
    ratio = f"÷ {reference}"
    speed = ("variant", "speed-up × (95 %; blocks)", "time/image [ms]", "share of own roofline [%]")
    return (*speed, "size [MB]", ratio, "peak memory [MB]", ratio, "CIDEr kept [%]", "images", "notes")


def _cells(line: Line, several: bool) -> tuple[str, ...]:
    timed, sized, kept = line.timed, line.last(lambda row: row.size), line.last(_kept)
    held = line.last(lambda row: row.peak_memory)
    floor, seconds = (timed.floor, timed.row.seconds) if timed else (None, None)
    return (
        line.variant,
        _speed_up(line.speed_up),
        scaled(seconds, 1000),
        scaled(floor / seconds, 100) if floor and seconds else MISSING,
        scaled(sized.row.size if sized else None, 1e-6),
        scaled(sized.row.size_ratio if sized else None),
        scaled(held.row.peak_memory if held else None, 1e-6),
        scaled(held.row.memory_ratio if held else None),
        scaled(_kept(kept.row) if kept else None, 100),
        str(kept.images) if kept else MISSING,
        "; ".join(_notes(line, timed, sized, held, kept, several=several)),
    )


def _kept(row: Row) -> float | None:
    return row.retention.get("cider")


def _speed_up(found: Estimate | None) -> str:
    if found is None:
        return MISSING
    if found.low == found.high:
        return significant(found.centre)
    if not (found.low > 0 and math.isfinite(found.high)):
        return f"{significant(found.centre)} (no interval; {found.n})"
    return f"{significant(found.centre)} ({significant(found.low)} to {significant(found.high)}; {found.n})"


def _notes(line: Line, *figures: Found | None, several: bool) -> Iterator[str]:
    """Slower, or not known to be faster; failed; and from which runs the figures are, where there are several."""
    of = line.speed_up
    if line.is_reference:
        yield "the reference"
    elif of and of.high < 1:
        yield f"SLOWER than {line.found[-1].row.reference}"
    elif of and of.low <= 1:
        yield f"not shown to be {'faster' if of.centre >= 1 else 'slower or faster'}: the interval holds 1"
    if compiled := line.last(lambda row: row.compile_seconds):
        yield f"compiles for {significant(compiled.row.compile_seconds or 0.0)} s once a process"
    if line.failures:
        yield "FAILED, see below" if any(each.row.verdict is Outcome.FAIL for each in line.found) else "fail waived, see below"
    if several:
        yield "run " + ", ".join(map(str, sorted({each.part.number for each in figures if each})))


def _listed(head: str, lines: Sequence[tuple[str, str]]) -> str:
    return f"{head}:\n\n" + "\n".join(f"- {escape(name)}: {escape(words)}" for name, words in lines) if lines else ""
