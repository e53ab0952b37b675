"""The report as lines for a terminal of 120 columns; also the wording and rounding that the other renderers share."""

import math
import re
from collections import Counter
from pathlib import Path
from statistics import median, stdev

from tabulate import SEPARATING_LINE, tabulate

from vlmgate.report import beside, gpu
from vlmgate.report.anatomy import columns
from vlmgate.report.rows import Counts, Group, Row, counts, groups, threads
from vlmgate.report.since import since
from vlmgate.spec import Environment, Estimate, Outcome, Run, Settings, Verdict

MISSING = "—"
RED, GREEN, YELLOW, DIM = "31", "32", "33", "2"
COLOURS = {"fail": RED, "pass": GREEN, "unresolved": YELLOW, "waived": YELLOW, "skip": DIM}
MEASURED = ("warm-up", "measuring", "quality", "memory")  # phases in which something is measured; the rest is overhead
LABEL_WIDTH = 10  # of "unresolved"


def render(run: Run, *, colour: bool, record: Path | None = None) -> str:
    """The whole report, without a newline at the end.

    The share of gates decided comes first. ``record`` is the folder that holds run.json, named in the last line. With
    ``colour`` the words of verdicts carry ANSI codes.
    """
    found = groups(run)
    parts = [
        [_paint(status_line(run), _status_colour(counts(run)), colour), *remarks(run)],
        [
            environment_line(run.environment),
            *filter(None, [*map(plain, (beside.sides(run), *since(run))), *map(placebo_line, found)]),
        ],
        *([f"{title(group)}\n{_table(group, colour)}{_anatomy(group)}", *below(group)] for group in found),
        [_beside(run)] if run.other else [],
        list(dict.fromkeys(_labelled(verdict, colour) for verdict in with_outcome(run, Outcome.FAIL))),
        list(dict.fromkeys(_labelled(verdict, colour) for verdict in with_outcome(run, Outcome.UNRESOLVED))),
        list(dict.fromkeys(_labelled(verdict, colour) for verdict in with_outcome(run, Outcome.WAIVED))),
        [f"skipped: {'; '.join(skipped)}"] if (skipped := skip_reasons(run)) else [],
        [time_line(run), *([f"record: {plain(str(record))}"] if record else [])],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def status_line(run: Run) -> str:
    """``28 of 30 gates decided (93 %): 26 pass, 1 fail, 2 unresolved, 1 waived; 6 skipped``; the share is rounded down."""
    of = counts(run)
    share = f" ({math.floor(100 * of.share)} %)" if of.share is not None else ""
    skipped = f"; {of.skipped} skipped" if of.skipped else ""
    decided = f"{of.decided} of {of.gates} gates decided{share}"
    waived = f", {of.waived} waived" if of.waived else ""
    return f"{decided}: {of.passed} pass, {of.failed} fail, {of.unresolved} unresolved{waived}{skipped}"


def remarks(run: Run) -> list[str]:
    """What a reader must know beside the count: nothing decided, an interrupted run, notes, and failures of no case."""
    of, of_cases = counts(run), [record.failure for record in run.cases]
    found = []
    if not of.gates:
        found.append("No gate was judged: this run shows nothing, neither good nor bad.")
    elif not of.decided:
        found.append("Nothing was decided: this is no green run. The sentences below say what would decide each gate.")
    if run.status != "complete":
        found.append(f"The run is {run.status}: what follows is what was measured until then.")
    others = [failure for failure in run.failures if failure not in of_cases]
    found += [f"{each.arm or 'worker'}: {each.kind} while {each.stage}: {each.message}" for each in others]
    found += gpu.remarks(run.blocks)
    return [plain(line) for line in (*found, *run.notes)]


def environment_line(environment: Environment) -> str:
    """Processor, ISA level, threads, GPU and the versions that matter most; what was not recorded is left out."""
    key, info = environment.key, environment.info
    versions = info.get("versions") or {}
    parts = [str(key.get("cpu", "")), str(key.get("isa", "")), f"up to {threads(key['threads'])}" if "threads" in key else ""]
    parts += [str(key.get("gpu", "")), f"Python {info['python']}" if info.get("python") else ""]
    parts += [f"{name} {versions[name]}" for name in ("torch", "transformers") if name in versions]
    parts.append(f"commit {str(info['commit'])[:10]}{' (changed)' if info.get('dirty') else ''}" if info.get("commit") else "")
    return plain(", ".join(filter(None, parts)))


def placebo_line(group: Group) -> str:
    """``scene-blip: placebo 1.004× (0.996 to 1.012, 6 blocks), clean; yardstick 12.3 ms (sd 0.8 % over blocks)``; empty where
    nothing was timed."""
    if not group.blocks:
        return ""
    if group.placebo is None:
        return plain(f"{group.label}: placebo not known, it needs two blocks or more{_yardstick(group)}")
    of, word = group.placebo, "contaminated" if group.contaminated else "clean"
    said = f"placebo {of.centre:.3f}× ({of.low:.3f} to {of.high:.3f}, {of.n} blocks), {word}"
    return plain(f"{group.label}: {said}{_yardstick(group)}")


def _yardstick(group: Group) -> str:
    """The median over blocks of the fixed workload's time, and the standard deviation of its logarithm over them."""
    found = group.yardstick
    if not found:
        return ""
    spread = f" (sd {100 * stdev(map(math.log, found)):.2g} % over blocks)" if len(found) > 1 else ""
    return f"; yardstick {significant(1000 * median(found))} ms{spread}"


def below(group: Group) -> list[str]:
    """What stands below the table of a group: what its figures do not tell of memory and of compiling."""
    return [*_memory_lines(group), *_compile_lines(group)]


def _memory_lines(group: Group) -> list[str]:
    """``peak memory [MB], lowest to highest process: fp32 470 to 474 (3 processes), …``; none where each case had one process."""
    spread = [
        f"{row.variant} {_megabytes(min(row.peaks))} to {_megabytes(max(row.peaks))} ({len(row.peaks)} processes)"
        for row in group.rows
        if row.peaks
    ]
    return [plain(f"peak memory [MB], lowest to highest process: {', '.join(spread)}")] if spread else []


def _compile_lines(group: Group) -> list[str]:
    """``the first call of a process compiles, …: fp32-compile 34.2 s``; none where nothing is compiled."""
    found = [f"{row.variant} {significant(row.compile_seconds)} s" for row in group.rows if row.compile_seconds is not None]
    return [plain(f"the first call of a process compiles, which is in no time above: {', '.join(found)}")] if found else []


def _megabytes(number: float) -> str:
    return f"{number * 1e-6:.1f}"  # of processes that differ by little


def timed_how(of: Settings) -> str:
    """``batch 1, 16 new tokens timed, 1 thread``: what the times of a table were taken with."""
    size = f", {of.image_size} px" if of.image_size else ""
    return f"batch {of.batch}, {of.new_tokens} new tokens timed, {threads(of.threads)}{size}"


def declared(of: Settings) -> str:
    """``, NAME=value`` for each variable that suite.yaml sets for the workers."""
    return "".join(f", {name}={value}" for name, value in of.environment.items())


def title(group: Group) -> str:
    """What the table is about and how it was run."""
    of = group.settings
    how = f"{timed_how(of)}, {group.blocks} blocks{declared(of)}"
    captioned = f", {of.images} images captioned" if any(row.scores for row in group.rows) else ""
    return plain(f"{group.model} on {group.dataset} ({how}{captioned})")


def skip_reasons(run: Run) -> list[str]:
    """``4 × reason`` for each reason why gates, and cases without any gate, were skipped; the commonest first."""
    judged = {verdict.case for verdict in run.verdicts}
    found = [reason_of_skip(verdict) for verdict in with_outcome(run, Outcome.SKIP)]
    found += [record.skip for record in run.cases if record.skip and record.id not in judged]
    texts = [plain(text) for text in found]  # equal reasons together, under the fullest wording
    heads = Counter(text.partition(": ")[0] for text in texts)
    return [f"{n} × {max((t for t in texts if t.partition(': ')[0] == head), key=len)}" for head, n in heads.most_common()]


def time_line(run: Run) -> str:
    """``time: 85 s: 60 s timing, 20 s captioning, 5 s other``."""
    phases = dict(sorted(run.phases.items(), key=lambda item: -item[1]))
    rest = run.seconds - sum(phases.values())
    parts = [f"{significant(seconds)} s {name}" for name, seconds in phases.items() if seconds > 0.01]
    if phases and rest > 0.01 * run.seconds:  # phases may overlap; then there is no rest
        parts.append(f"{significant(rest)} s other")
    return plain(f"time: {significant(run.seconds)} s" + (f": {', '.join(parts)}" if parts else "") + _overhead(run))


def _overhead(run: Run) -> str:
    """``; 31 % is overhead (45 % with memory); pytest itself used 0.3 % of a core while workers measured``."""
    found = ""
    if run.seconds > 0 and any(name in run.phases for name in MEASURED):
        rest = run.seconds - sum(run.phases.get(name, 0.0) for name in MEASURED)
        strict = rest + run.phases.get("memory", 0.0)
        found += f"; {rest / run.seconds:.0%} is overhead ({strict / run.seconds:.0%} with memory)".replace("%", " %")
    if run.parent_cpu:
        found += f"; pytest itself used {100 * run.parent_cpu:.2g} % of a core while workers measured"
    return found


def with_outcome(run: Run, outcome: Outcome) -> list[Verdict]:
    """The verdicts of one outcome, in the order of the run."""
    return [verdict for verdict in run.verdicts if verdict.outcome is outcome]


def cells(row: Row) -> tuple[str, ...]:
    """The figures of one row after the variant's name and its speed-up; the heads are ``heads``."""
    kept = {name: scaled(row.retention.get(name), 100) for name in ("bleu_4", "cider")}
    return (
        scaled(row.images_per_second),
        scaled(row.peak_memory, 1e-6),
        scaled(row.memory_ratio),
        scaled(row.size, 1e-6),
        scaled(row.size_ratio),
        scaled(row.scores.get("bleu_4")),
        kept["bleu_4"],
        scaled(row.scores.get("cider")),
        kept["cider"],
    )


def heads(reference: str) -> tuple[str, ...]:
    """Column heads with units, one for each of variant, time, speed-up, ``cells`` and verdict; MB are 10⁶ bytes."""
    ratio = f"×\n{reference}"
    figures = ("images/\ns", "peak\nmemory\n[MB]", ratio, "size\n[MB]", ratio, "BLEU-4", "kept\n[%]", "CIDEr", "kept\n[%]")
    return ("variant", "time/\nimage\n[ms]", f"speed-up\n× {reference}\n(95 %)", *figures, "verdict")


def verdict_word(row: Row) -> str:
    """The worst verdict; a reference that only has gates against itself, which skip, is called by its role."""
    if not row.reference and not row.text and row.verdict in (None, Outcome.SKIP):
        return "reference"
    return row.verdict.value if row.verdict else MISSING


def scaled(value: float | None, factor: float = 1.0) -> str:
    """A figure for a cell; a dash where it was not measured."""
    return MISSING if value is None or not math.isfinite(value) else significant(value * factor)


def significant(number: float) -> str:
    """Three significant digits, whole numbers from 1000 on; for reading only."""
    return f"{number:.0f}" if abs(number) >= 999.5 else f"{number:#.3g}".rstrip(".")


def plain(text: str) -> str:
    """Text on one line: control characters (a worker's last words may hold any) and halves of surrogate pairs become blanks."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _table(group: Group, colour: bool) -> str:
    head = heads(plain(group.reference))
    align = ("left", *["right"] * (len(head) - 2), "left")
    # as a row of the body, because tabulate pads heads by two columns each, which 120 columns have not to spare
    body = [head, SEPARATING_LINE, *(_line(row, colour) for row in group.rows)]
    return tabulate(body, tablefmt="simple", colalign=align, rowalign="bottom", disable_numparse=True)


def _anatomy(group: Group) -> str:
    """The second, smaller table; empty where nothing was timed."""
    head, body = columns(group, scaled)
    if not body:
        return ""
    align = ("left", *["right"] * (len(head) - 1))
    lines = [head, SEPARATING_LINE, *((plain(line[0]), *line[1:]) for line in body)]
    return "\n\n" + tabulate(lines, tablefmt="simple", colalign=align, rowalign="bottom", disable_numparse=True)


def _beside(run: Run) -> str:
    """The table of both sides; empty where nothing was compared."""
    head, body = beside.columns(run, significant)
    return tabulate([tuple(map(plain, line)) for line in body], head, tablefmt="simple", disable_numparse=True) if body else ""


def _line(row: Row, colour: bool) -> tuple[str, ...]:
    word = verdict_word(row)
    name, painted = plain(row.variant), _paint(word, COLOURS.get(word, ""), colour)
    return (name, scaled(row.seconds, 1000), _speed_up(row.speed_up), *cells(row), painted)


def _speed_up(found: Estimate | None) -> str:
    """``1.27 ±2 %``: the interval is even on logarithms, so its half-width is a share of the ratio. ``1.04 (0.3 to 3.6)`` where
    that is as much as the ratio itself."""
    if found is None:
        return MISSING
    if found.low == found.high or not (found.low > 0 and math.isfinite(found.high)):
        return significant(found.centre)
    wide = found.high / found.centre - 1
    if wide >= 1:
        return f"{significant(found.centre)} ({significant(found.low)} to {significant(found.high)})"
    return f"{significant(found.centre)} ±{100 * wide:.2g} %"


def _labelled(verdict: Verdict, colour: bool) -> str:
    word = verdict.outcome.value
    return f"{_paint(word.upper().ljust(LABEL_WIDTH), COLOURS[word], colour)} {plain(verdict.sentence)}"


def reason_of_skip(verdict: Verdict) -> str:
    """The sentence of a skip without its head, which names case and metric, and with ``*`` where its advice names the case.

    So the same reason reads the same in every case, and can be told once.
    """
    head = f"{re.escape(verdict.case)}: {re.escape(verdict.metric)} skip(ped)?: "
    return re.sub(f"^{head}", "", verdict.sentence).replace(f"'{verdict.case}'", "'*'")


def _status_colour(of: Counts) -> str:
    """Green only where every gate was decided and holds."""
    if of.failed:
        return RED
    return GREEN if of.gates and of.decided == of.gates and not of.waived else YELLOW


def _paint(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text
