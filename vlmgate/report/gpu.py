"""What a reader must know of the GPU: that other processes were on it while blocks were timed."""

from collections.abc import Sequence

from vlmgate.spec import Block


def remarks(blocks: Sequence[Block]) -> list[str]:
    """One sentence a model where other processes computed on the GPU at the beginning or end of its blocks."""
    found = []
    for model in dict.fromkeys(block.model for block in blocks):
        mine = [block for block in blocks if block.model == model]
        if shared := [who for block in mine if (who := _others(block))]:
            found.append(
                f"{model}: in {len(shared)} of {len(mine)} blocks the GPU was shared with {max(shared, key=len)}, which may have "
                f"moved the times: stop what else uses it (see nvidia-smi) and measure again"
            )
    return found


def _others(block: Block) -> str:
    """The processes beside the worker, by number where it is known; empty where there was none, or none is known."""
    states = [state for state in block.gpu.values() if isinstance(state, dict)]
    if pids := sorted({pid for state in states for pid in state.get("foreign", ())}):
        return f"process {pids[0]}" if len(pids) == 1 else f"processes {', '.join(map(str, pids))}"
    most = max((state.get("others", 0) for state in states), default=0)
    return f"{most} other process{'es' if most > 1 else ''} (of another container or user, by the driver's count)" if most else ""
