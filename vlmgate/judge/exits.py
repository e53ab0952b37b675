"""How a judged run ends a process: the same exit status from `vlmgate judge` and from pytest."""

from collections.abc import Iterable

from vlmgate.spec import Outcome, Verdict

PASSED, FAILED, UNRESOLVED, USAGE, CONTAMINATED = 0, 1, 3, 4, 6


def exit_status(verdicts: Iterable[Verdict], *, strict: bool) -> int:
    """1 with any fail. Else 0, but where what cannot be told is a failure (``strict``): 6 with a contaminated line, 3 with
    another that is unresolved. A waived fail is no fail."""
    found = list(verdicts)
    if any(verdict.outcome is Outcome.FAIL for verdict in found):
        return FAILED
    if strict and any(verdict.contaminated for verdict in found):
        return CONTAMINATED
    return UNRESOLVED if strict and any(verdict.outcome is Outcome.UNRESOLVED for verdict in found) else PASSED
