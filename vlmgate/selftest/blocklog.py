"""A log of blocks that take turns under one way of measuring after another, as the studies of docs/ keep it and go on with it.

JSON lines: a head that says what is measured, then one block each, written as soon as it is there.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vlmgate.record import fingerprint
from vlmgate.running.group import block_of
from vlmgate.selftest.recording import Subject, run_block
from vlmgate.spec import Block, VlmgateError

FORMAT = 1
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """One block: natural logarithms, of speed-ups and of seconds."""

    way: str
    index: int
    seconds: float  # from spawning to the end
    others: float  # cores' worth of time that other processes used meanwhile; -1: not told
    values: Mapping[str, float] = field(default_factory=dict)
    failed: str = ""
    arms: tuple[str, ...] = ()  # that its worker held


def measure(way: str, index: int, job: Mapping[str, Any], values_of: Callable[[Block], dict[str, float]]) -> Entry:
    """One block in a fresh worker; the seed of its turns is that of the index, whatever the way."""
    answer, others = run_block(job, index)
    if answer.failure:
        return Entry(way, index, answer.seconds, others, failed=answer.failure.message)
    block = block_of("", index, answer, job["batch"])
    return Entry(way, index, answer.seconds, others, values_of(block), arms=tuple(block.times))


def go_on(
    log: Path,
    entries: Sequence[Entry],
    left: Sequence[tuple[str, int]],
    measured: Callable[[str, int], Entry],
    progress: Progress,
) -> list[Entry]:
    """The entries with those that are ``left``, (way, index) each, of which every one is in the log before the next begins. A way
    whose worker fails is left out from then on."""
    found, broken = list(entries), set()
    took = [entry.seconds for entry in entries]
    for place, (way, index) in enumerate(left):
        if way in broken:
            continue
        entry = measured(way, index)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
        found.append(entry)
        took.append(entry.seconds)
        broken |= {way} if entry.failed else set()
        minutes = (len(left) - place - 1) * sum(took) / len(took) / 60
        what = f"failed, left out: {entry.failed}" if entry.failed else f"{entry.seconds:.1f} s"
        progress(f"{place + 1} of {len(left)}: {way} {index + 1}, {what}; about {minutes:.0f} min left")
    return found


def head_of(subject: Subject, sha256: str, checkpoint: str, **more: Any) -> dict[str, Any]:
    """What all blocks of a log have in common: images by ``sha256``, weights by ``checkpoint``, and ``more`` of the study."""
    settings = subject.settings
    return {
        "model": subject.model.name,
        "dataset": subject.dataset,
        "sha256": sha256,
        "checkpoint": checkpoint,
        "settings": asdict(settings),
        "environment": dict(fingerprint(settings.threads, subject.root).key),
        **more,
    }


def open_log(log: Path, kind: str, head: Mapping[str, Any] | None = None) -> list[Entry]:
    """The blocks of a log of docs/``kind``.py, begun with ``head`` where there is none (without a head it must be there).

    Raises:
        VlmgateError: it is no such log, or was made with another head.
    """
    head = json.loads(json.dumps({kind: FORMAT, **head})) if head else {}
    if head and not log.exists():
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(json.dumps(head) + "\n", encoding="utf-8")
    try:
        text = log.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a kill may have cut off the last line
        then, *rows = [json.loads(line) for line in whole.splitlines()]
        if then[kind] != FORMAT:
            raise ValueError(f"format {then[kind]}")
        entries = [Entry(**{**row, "arms": tuple(row.get("arms", ()))}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VlmgateError(f"{log} is no log of docs/{kind}.py ({error}); name another file with --log") from error
    if unlike := [name for name in head if then.get(name) != head[name]]:
        raise VlmgateError(f"{log} was recorded with another {', '.join(unlike)}; go on as it was begun, or name another --log")
    if whole != text:
        log.write_text(whole, encoding="utf-8")
    return entries
