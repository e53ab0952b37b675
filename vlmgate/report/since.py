"""What is not as when the baselines were promoted: libraries, commit, checkpoints, recipes; said once a report."""

from vlmgate.spec import Against, Run

NAMED = 3  # cases of one line


def since(run: Run) -> list[str]:
    """``since the baselines: torch 2.12.0 → 2.13.0``: one line for what changed for all cases that were held against a baseline,
    one for each set of them with changes of its own. Empty where nothing changed, and with --against, whose sides are named."""
    cases: dict[str, None] = {}
    found: dict[str, dict[str, None]] = {}
    for verdict in run.verdicts if run.other is None else ():
        if verdict.against is Against.BASELINE and verdict.estimate:
            cases[verdict.case] = None
            for phrase in verdict.since:
                found.setdefault(phrase, {})[verdict.case] = None
    together: dict[tuple[str, ...], list[str]] = {}
    for phrase, of in found.items():
        together.setdefault(tuple(of), []).append(phrase)
    return [f"since the baselines{_of(of, len(cases))}: {', '.join(phrases)}" for of, phrases in together.items()]


def _of(cases: tuple[str, ...], compared: int) -> str:
    if len(cases) == compared:
        return ""
    return f" of {', '.join(cases[:NAMED])}{f' and {len(cases) - NAMED} more' if len(cases) > NAMED else ''}"
