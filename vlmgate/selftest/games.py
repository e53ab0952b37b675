"""Runs made of blocks that are drawn from the bank: what is pretended, and what the judge then says of it."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from vlmgate.judge import LOOKS, judge_run, to_confirm, undecided
from vlmgate.judge.confirm import CONFIRMING
from vlmgate.judge.evidence import PLACEBO, TIME
from vlmgate.metrics import METRICS
from vlmgate.selftest.arms import REFERENCE
from vlmgate.selftest.bank import Bank, Entry
from vlmgate.selftest.promoted import in_memory, promoted
from vlmgate.spec import Against, Baseline, Block, CaseRecord, Outcome, Question, Run, Threshold, Verdict

TESTED, PADDING = "under-test", "padding"  # variants of the case that is judged, and of the rest of its family


@dataclass(frozen=True)
class Game:
    """One pretence: the bank's ``arm`` plays the variant and ``reference`` the reference, and the variant must hold a line.

    ``shift`` is added to the logarithm of the variant's times. Where the two are identical copies of INT8, or the second
    is the placebo itself, no third copy is in the bank to guard them: the judge then has no placebo to look at.
    """

    name: str
    arm: str
    reference: str = REFERENCE
    line: float = 1.0  # floor on the speed-up over the reference; against a baseline the tolerance
    shift: float = 0.0
    lines: int = 1  # noisy lines in the family that the error level is shared among
    promoted: str = ""  # against a baseline: the arm that was promoted as this case
    runs: int = 0  # A/A runs of the promoted arm, beside the promoted one, from which its spread between runs is known

    @property
    def against(self) -> Against:
        return Against.BASELINE if self.promoted else Against.REFERENCE

    @property
    def guarded(self) -> bool:
        """Whether the placebo watches over this run."""
        return self.reference == REFERENCE and self.arm != PLACEBO

    @property
    def needs(self) -> int:
        """Blocks that a run of it draws at most, where it is not contaminated."""
        return LOOKS[-1] + CONFIRMING + (LOOKS[-1] + self.runs * LOOKS[1] if self.promoted else 0)


@dataclass(frozen=True)
class Played:
    """How one run ended: on which verdict, after how many blocks, and how long its blocks took with its own arms alone."""

    outcome: Outcome
    blocks: int
    seconds: float
    confirm: str = ""  # as in `Verdict`
    contaminated: bool = False


def cast(bank: Bank, game: Game, arm: str = "") -> list[Block]:
    """The bank's blocks with the arms of the game alone, by the names they have in it."""
    scale, arm = math.exp(game.shift), arm or game.arm
    return [_cast(entry.block, game, arm, scale) for entry in bank.entries]


def _cast(block: Block, game: Game, arm: str, scale: float) -> Block:
    times = {game.reference: block.times[game.reference]}
    times[TESTED] = tuple(tuple(t * scale for t in rounds) for rounds in block.times[arm]) if scale != 1 else block.times[arm]
    if game.guarded:
        times[PLACEBO] = block.times[PLACEBO]
    return replace(block, times=times, first_token={}, warmup={})


def seconds_of(entry: Entry, arms: Collection[str]) -> float:
    """What the block would have cost with these arms only: all of it less the calls of the others (which were loaded too).

    The bank is recorded at batch 1, so a call is a caption.
    """
    block = entry.block
    others = [arm for arm in block.times if arm not in arms]
    calls = sum(t for arm in others for rounds in block.times[arm] for t in rounds)
    rest = sum(sum(values.get(arm, ())) for values in (block.warmup, block.first_token) for arm in others)
    return entry.seconds - calls - rest


def run_of(bank: Bank, game: Game, blocks: Sequence[Block]) -> Run:
    """A run as `pytest benchmarks/` would have written it, with these blocks."""
    head = bank.head
    settings = replace(head.settings, blocks=max(head.settings.blocks, 24))

    def record(variant: str, reference: str) -> CaseRecord:
        return CaseRecord(
            id=f"{head.model}/{variant}/{head.dataset}",
            model=head.model,
            variant=variant,
            dataset=head.dataset,
            reference=reference and f"{head.model}/{reference}/{head.dataset}",
            questions=(Question.LATENCY,),
            settings=settings,
            recipe={},
            checkpoint=head.checkpoint,
        )

    cases = [record(game.reference, ""), record(TESTED, game.reference)]
    padding = [replace(record(PADDING, game.reference), skip="stands for the other lines of the family")]
    return Run(
        name="drawn",
        tier="selftest",
        started=bank.entries[0].started,
        seconds=0.0,
        status="complete",
        environment=head.environment,
        suite="",
        datasets={head.dataset: head.sha256},
        cases=(*cases, *(padding if game.lines > 1 else ())),
        blocks=tuple(blocks),
        failures=(),
        verdicts=(),
        phases={},
    )


def thresholds_of(run: Run, game: Game) -> dict[str, list[Threshold]]:
    """The line of the case under test, and as many others as its family has."""
    case = run.cases[1].id
    line = Threshold(case, TIME, game.against, game.line, "self-check")
    rest = [replace(line, cases=record.id) for record in run.cases[2:] for _ in range(game.lines - 1)]
    return {case: [line]} | {line.cases: rest for line in rest[:1]}


def judged(bank: Bank, game: Game, blocks: Sequence[Block], baselines: Mapping[str, Baseline]) -> Verdict:
    """What the judge says of the case under test."""
    run = run_of(bank, game, blocks)
    found = judge_run(run, thresholds_of(run, game), METRICS, baselines)
    return next(verdict for verdict in found if verdict.case == run.cases[1].id)


def promote_drawn(bank: Bank, game: Game, cast: Sequence[Block], order: Iterator[int], files: bool = True) -> dict[str, Baseline]:
    """Case id → the baseline that a promoted run leaves, made of the next blocks of ``order``, then those of its A/A runs.

    With ``files`` through the files that `vlmgate promote` writes; contaminated, it is promoted with force.
    """

    def drawn(name: str, count: int) -> Run:
        run = run_of(bank, game, [cast[index] for index in islice(order, count)])
        return replace(run, name=name, verdicts=judge_run(run, thresholds_of(run, game), METRICS, {}))

    first = drawn("promoted", LOOKS[-1])
    again = [drawn(f"again-{number}", LOOKS[1]) for number in range(game.runs)]
    return promoted(first, again)[0] if files else in_memory(first, again)


def play(
    bank: Bank, game: Game, cast: Sequence[Block], order: Iterable[int], baselines: Mapping[str, Baseline] | None = None
) -> Played:
    """Judge a run as it grows look by look, and confirm its fail, as the suite does; ``order`` says which blocks it draws.

    A contaminated run is measured again once, from the blocks that follow, as the suite does.
    """
    then, left, drawn = baselines or {}, iter(order), list[int]()

    def grow(blocks: list[Block], count: int, role: str) -> list[Block]:
        fresh = list(islice(left, count))
        drawn.extend(fresh)
        return [*blocks, *(replace(cast[index], role=role) for index in fresh)]

    blocks: list[Block] = []
    for role in ("look", "retry"):
        looked = len(blocks)
        for look in sorted({max(look, looked) for look in LOOKS}):  # what is measured again is all that was
            blocks = grow(blocks, look - (len(blocks) - looked), role)
            verdict = judged(bank, game, blocks, then)
            if not undecided([verdict], {verdict.case}):
                break
        if not verdict.contaminated:
            break
    for role in ("confirm", "reconfirm"):  # once more where the placebo moved in the new blocks
        if to_confirm([verdict]):
            blocks = grow(blocks, CONFIRMING, role)
            verdict = judged(bank, game, blocks, then)
    arms = {game.arm, game.reference} | ({PLACEBO} if game.guarded else set())
    seconds = sum(seconds_of(bank.entries[index], arms) for index in drawn)
    return Played(verdict.outcome, len(blocks), seconds, verdict.confirm, verdict.contaminated)
