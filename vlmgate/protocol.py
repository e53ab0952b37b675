"""What the parent and its workers say to each other: one job, then events, as JSON lines on a pipe of their own.

A worker is ``python -m vlmgate.worker READ_FD WRITE_FD``. It reads one job (a JSON object with ``version``, ``do`` and what
that job needs), and writes events:

    {"event": "stage", "arm": NAME, "stage": WORD}     before it loads or calls an arm, so that a crash has an address;
                                                       in a block with the ``calls`` since the last one, so that they outlive it
    {"event": "tick", "done": N, "of": M}              progress, and a sign of life
    {"event": "arm", "arm": NAME, "data": {...}}       one arm's result
    {"event": "result", "data": {...}}                 the whole job's result
    {"event": "failed", "kind": EXCEPTION, "message": TEXT}
    {"event": "done"}                                  last, always, when all went well

Standard output and error of a worker are its log and never part of the protocol.
"""

import json
from typing import Any

VERSION = 1

Message = dict[str, Any]

EVENTS: dict[str, set[str]] = {  # event → the fields it must have
    "stage": {"arm", "stage"},
    "tick": {"done", "of"},
    "arm": {"arm", "data"},
    "result": {"data"},
    "failed": {"kind", "message"},
    "done": set(),
}


class GarbageError(ValueError):
    """A line that is not a message of this protocol."""


def encode(message: Message) -> bytes:
    """One message as one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message in a line.

    Raises:
        GarbageError: the line is not a JSON object.
    """
    try:
        message = json.loads(line)
    except ValueError as error:
        raise GarbageError(f"not JSON: {line[:80]!r}") from error
    if not isinstance(message, dict):
        raise GarbageError(f"not an object: {line[:80]!r}")
    return message


def decode_event(line: bytes) -> Message:
    """The event in a line.

    Raises:
        GarbageError: the line is no JSON object, or no event with all its fields.
    """
    message = decode(line)
    event = message.get("event")
    if not isinstance(event, str) or event not in EVENTS or EVENTS[event] - message.keys():
        raise GarbageError(f"no event with all its fields: {line[:80]!r}")
    return message
