"""Looks at the speed of the arms: blocks of all that take turns, then judging, then more blocks for the undecided."""

from dataclasses import replace

from vlmgate.judge import LOOKS, TIMED, contaminated_groups, to_confirm, undecided
from vlmgate.judge.confirm import CONFIRMING
from vlmgate.measure import BudgetSpent
from vlmgate.running.blocks import Blocks
from vlmgate.running.group import CONFIRM, LOOK, RECONFIRM, RETRY, Group
from vlmgate.running.progress import duration
from vlmgate.running.state import State
from vlmgate.spec import Case

KINDS = {
    LOOK: "blocks",
    RETRY: "blocks of the second try",
    CONFIRM: "blocks that were to confirm a fail",
    RECONFIRM: "blocks of the second try to confirm a fail",
    "": "blocks",
}


def time_speed(state: State, groups: list[Group]) -> None:
    """Time every group within the time budget: each gets an equal share of what is left, so that no model eats it all."""
    timed = [group for group in groups if _asked(state, state.wanted(group, *TIMED))]
    budget = state.options.timing_left(state.clock.seconds)
    state.options = replace(state.options, time_budget=budget)
    deadline = None if budget is None else state.clock.now() + budget
    for number, group in enumerate(timed):
        left = None if deadline is None else (deadline - state.clock.now()) / (len(timed) - number)
        _time_group(state, group, state.clock.now() + left if left is not None else None)


def _time_group(state: State, group: Group, deadline: float | None) -> None:
    """The looks, with new blocks for what fails; a budget that ends is noted with what it cut."""
    blocks = Blocks(state, group, deadline)
    try:
        _looks(state, group, blocks)
    except BudgetSpent:
        state.notes.append(_cut(state, group, blocks))
        state.progress(state.notes[-1])
    if took := blocks.pace.took:
        state.progress(f"{group.name}: {len(took)} workers timed in {duration(sum(took))}")


def _looks(state: State, group: Group, blocks: Blocks) -> None:
    """Looks at 6, 12 and 24 blocks; after each, what fails is confirmed, and only the variants that are still undecided go on.

    A fail is confirmed at once: the looks of others must not eat up the time in which it becomes one.
    Where the placebo moved, all blocks so far are measured once more, and those count instead. A resumed run that had begun to
    goes on with that.
    """
    looked, again = (_count(state, group, role) for role in (LOOK, RETRY))
    cases, role = state.wanted(group, *TIMED), RETRY if again else LOOK
    for look in sorted({max(look, looked) if again else look for look in _plan(state, group)}):
        cases = blocks.measure(cases, role, look)
        if role == LOOK and _contaminated(state, group):
            role = RETRY
            state.notes.append(f"{group.name}: the placebo moved in the first {look} blocks, so they are measured once more")
            state.progress(state.notes[-1])
            cases = blocks.measure(state.wanted(group, *TIMED), role, look)
        _confirm(state, group, blocks)
        left = undecided(state.verdicts(), {case.id for case in group.cases})
        cases = [case for case in cases if case is group.reference or case.id in left]
        if not left or not _asked(state, cases):
            return


def _count(state: State, group: Group, role: str) -> int:
    """How many blocks of this role the group has; several workers may have shared one."""
    return len({block.index for block in state.blocks if (block.model, block.role) == (group.name, role)})


def _plan(state: State, group: Group) -> list[int]:
    """How many blocks each look has; a limit below the second look is a look of its own."""
    if state.options.blocks:
        return [state.options.blocks]
    most = group.reference.settings.blocks
    plan = [look for look in LOOKS if look <= most]
    return [*plan, most] if most < LOOKS[1] and most not in plan else plan


def _contaminated(state: State, group: Group) -> bool:
    return group.name in contaminated_groups(state.run(""), state.baselines)


def _confirm(state: State, group: Group, blocks: Blocks) -> None:
    """New blocks, which the looks did not choose, for the cases that fail by chance or by right; where the placebo moved in them,
    they are measured once more."""
    for role in (CONFIRM, RECONFIRM):
        failing = to_confirm(state.verdicts()) & {case.id for case in group.cases}
        cases = [case for case in group.cases if case.id in failing and state.alive(case)]
        if not cases:
            return
        that = f"confirm that {', '.join(case.variant.name for case in cases)} fails"
        words = f"{group.name}: {CONFIRMING} new blocks to {that}"
        if role == RECONFIRM:
            words = f"{group.name}: the placebo moved in the blocks that were to {that}, so they are measured once more"
            state.notes.append(words)
        state.progress(words)
        blocks.measure([group.reference, *(case for case in cases if case is not group.reference)], role, CONFIRMING)


def _cut(state: State, group: Group, blocks: Blocks) -> str:
    """What the time budget cut, as a sentence."""
    verdicts = state.verdicts()
    open_cases = undecided(verdicts, {c.id for c in group.cases}) | to_confirm(verdicts) & {c.id for c in group.cases}
    names = ", ".join(case.variant.name for case in group.cases if case.id in open_cases)
    budget = f"the time budget of {state.options.time_budget:g} s"
    what = f"; left open: {names}" if names else "; the first ones count" if blocks.role == RETRY else ""
    return f"{group.name}: {budget} ended after {blocks.done} of {blocks.planned} {KINDS[blocks.role]}{what}"


def _asked(state: State, cases: list[Case]) -> bool:
    """Whether any of the cases is there for its own sake; the reference may only be needed by others."""
    return any(state.asked(case, *TIMED) for case in cases)
