"""comparison.md: the report in GitHub's Markdown, fit for a pull request or a step summary."""

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from tabulate import tabulate

from vlmgate.judge.sentences import last_words
from vlmgate.report import beside
from vlmgate.report.anatomy import columns
from vlmgate.report.rows import Group, Row, counts, groups
from vlmgate.report.since import since
from vlmgate.report.terminal import (
    MISSING,
    below,
    cells,
    environment_line,
    heads,
    placebo_line,
    plain,
    remarks,
    scaled,
    significant,
    skip_reasons,
    status_line,
    time_line,
    title,
    verdict_word,
    with_outcome,
)
from vlmgate.spec import CaseRecord, Environment, Estimate, Failure, Outcome, Run, Verdict

SHOWN = 3  # captions a case that differ from the reference's
HOW_TO_READ = (
    "Speed-up, ×, and kept compare a variant with the unmodified model measured in the same run: speed-up is time of the "
    "reference ÷ time of the variant with its 95 % interval, × is bytes ÷ bytes of the reference, kept is score ÷ score of the "
    "reference. A gate passes when its whole interval lies on the good side of its line, fails when it lies wholly on the bad "
    "side, and is unresolved otherwise, which is no pass."
)
# what Markdown would take for its own; an underscore within a word and a bracket without a target are safe
_SPECIAL = re.compile(r"^[-+#=]|[\\`*|~$]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")


def render(run: Run) -> str:
    """The whole file, with a newline at the end. Names, sentences and captions are escaped: none can make a cell or a tag."""
    found = groups(run)
    parts = [
        f"# vlmgate: {escape(run.name)}",
        f"**{escape(status_line(run))}**",
        *map(escape, (*remarks(run), *since(run))),
        *(
            part
            for group in found
            for part in (f"## {escape(title(group))}", _table(group), _anatomy(group), *map(escape, _lines(group)))
        ),
        _beside(run),
        _section("Failed", with_outcome(run, Outcome.FAIL)),
        _folded("The last lines that workers wrote before they failed", _logs(run)),
        _section("Unresolved", with_outcome(run, Outcome.UNRESOLVED)),
        _section("Waived", with_outcome(run, Outcome.WAIVED)),
        _folded(f"Passed ({_gates(counts(run).passed)})", _items(with_outcome(run, Outcome.PASS))),
        _folded("Skipped", "\n".join(f"- {escape(reason)}" for reason in skip_reasons(run))),
        _folded("Captions that differ from the reference's", _captions(run)),
        f"## How to read this\n\n{HOW_TO_READ}",
        _folded(f"Environment: {environment_line(run.environment)}", _environment(run)),
        escape(time_line(run)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def escape(text: str) -> str:
    """One line of text that shows as it is: no table cell, tag, link, image or emphasis comes out of it."""
    return _SPECIAL.sub(lambda found: "\\" + found[0], html.escape(plain(text), quote=False))


def table(head: Sequence[str], body: Iterable[Sequence[str]], left: Iterable[int]) -> str:
    """A table in GitHub's format from cells that are escaped here; the columns of ``left`` are aligned left, others right."""
    align = ["left" if i in set(left) else "right" for i in range(len(head))]
    lines = [[escape(cell) for cell in line] for line in body]
    return tabulate(lines, [escape(each) for each in head], tablefmt="github", colalign=align, disable_numparse=True)


def _table(group: Group) -> str:
    head = [name.replace("/\n", "/").replace("\n", " ") for name in heads(group.reference)]
    body = [(row.variant, scaled(row.seconds, 1000), _speed_up(row.speed_up), *cells(row), _verdict(row)) for row in group.rows]
    return table(head, body, left=(0, len(head) - 1))


def _anatomy(group: Group) -> str:
    head, body = columns(group, scaled)
    flat = [name.replace("/\n", "/").replace("\n", " ") for name in head]
    return table(flat, body, left=(0,)) if body else ""


def _lines(group: Group) -> list[str]:
    """What stands below the tables of a group."""
    return [*below(group), placebo_line(group)]


def _beside(run: Run) -> str:
    """In what the sides of a run with --against differ, and every case of them."""
    head, body = beside.columns(run, significant)
    return f"{escape(beside.sides(run))}\n\n{table(head, body, left=(0,))}" if body else escape(beside.sides(run))


def _speed_up(found: Estimate | None) -> str:
    if found is None:
        return MISSING
    if found.low == found.high or not (found.low > 0 and math.isfinite(found.high)):
        return significant(found.centre)
    return f"{significant(found.centre)} ({significant(found.low)} to {significant(found.high)})"


def _verdict(row: Row) -> str:
    return f"{verdict_word(row)}: {row.text}" if row.text else verdict_word(row)


def _section(head: str, verdicts: Sequence[Verdict]) -> str:
    return f"## {head} ({_gates(len(verdicts))})\n\n{_items(verdicts)}" if verdicts else ""


def _gates(number: int) -> str:
    return f"{number} gate" if number == 1 else f"{number} gates"


def _items(verdicts: Sequence[Verdict]) -> str:
    """One item a sentence, with the reason that suite.yaml gives for its line; a crash says the same in every question."""
    items = (
        f"- {escape(each.sentence)}" + (f"\n  - why the line is there: {escape(each.reason)}" if each.reason else "")
        for each in verdicts
    )
    return "\n".join(dict.fromkeys(items))


def _logs(run: Run) -> str:
    """What stands at the end of the log of each failure, with the cases that it is of."""
    of: dict[Failure, list[str]] = {}
    for record in run.cases:
        if record.failure:
            of.setdefault(record.failure, []).append(record.id)
    for failure in run.failures:
        of.setdefault(failure, [failure.arm or "worker"])
    found = [(f"{', '.join(names)}: {each.kind} while {each.stage}", last_words(each)) for each, names in of.items()]
    return "\n\n".join(f"{escape(head)}\n\n{_verbatim(lines)}" for head, lines in found if lines)


def _verbatim(lines: Sequence[str]) -> str:
    """Lines as they are, blanks at their beginning too, in a fence that none of them can close."""
    longest = max((len(ticks) for line in lines for ticks in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *map(plain, lines), fence])


def _folded(summary: str, content: str) -> str:
    """A section that is closed at first; blank lines make GitHub read its content as Markdown."""
    words = html.escape(plain(summary), quote=False)
    return f"<details>\n<summary>{words}</summary>\n\n{content}\n\n</details>" if content else ""


def _environment(run: Run) -> str:
    environment: Environment = run.environment
    info = dict(environment.info)
    versions = info.pop("versions", None)
    body = [("environment", environment.name), *_flat(environment.key), *_flat(info)]
    body += _flat(versions) if isinstance(versions, Mapping) else []
    body += [("tier", run.tier), ("started", run.started), ("suite.yaml sha256", run.suite)]
    body += [(f"{name} sha256", digest) for name, digest in run.datasets.items()]
    signatures = dict.fromkeys(record.signature for record in run.cases if record.signature)
    body += [("scores", signature) for signature in signatures]
    return table(("what", "value"), body, left=(0, 1))


def _flat(values: Mapping[str, object]) -> list[tuple[str, str]]:
    shown = {name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else value for name, value in values.items()}
    return [(str(name), str(value)) for name, value in shown.items() if value not in ("", None)]


def _captions(run: Run) -> str:
    """The first captions of each case that differ from the reference's."""
    records = {record.id: record for record in run.cases}
    body = [line for record in run.cases for line in _differing(record, records.get(record.reference))]
    return table(("case", "image", "reference", "variant"), body, left=range(4)) if body else ""


def _differing(record: CaseRecord, reference: CaseRecord | None) -> list[tuple[str, str, str, str]]:
    before = reference.captions if reference else {}
    found = [(key, before[key], text) for key, text in record.captions.items() if key in before and before[key] != text]
    return [(record.id, key, then, now) for key, then, now in found[:SHOWN]]
