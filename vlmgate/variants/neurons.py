"""Structured pruning of MLP neurons: matrices, configuration and file really shrink.

Importance is the maximum absolute weight rule of Pere Martra's "Exploring GLU expansion ratios" (OptiPFair's default, "MAW"):
max + |min| of a neuron's gate row plus max + |min| of its up row. An MLP without a gate has one incoming matrix; there the
outgoing column stands in for the second one. Source: https://github.com/peremartra/optipfair
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from vlmgate.spec import VlmgateError
from vlmgate.variants.structure import MLPS, Block, best, blocks, configs, keep_columns, keep_rows, kept, share

SHRINKS = True  # parameters are counted again after this step
SIZES = ("intermediate_size",)  # of a configuration, and of a module


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Take the share ``amount`` of the neurons out of every MLP under ``prefixes``, in place, the least important first.

    The number that stays is rounded up to a ``multiple``, as kernels like it.

    Raises:
        VlmgateError: ``amount`` is no share, no MLP was found, or it is less than a multiple of every MLP.
    """
    amount, multiple = share(parameters, "neurons"), int(parameters.get("multiple", 1))
    found = list(blocks(model, prefixes, MLPS))
    if not found:
        raise VlmgateError("neurons: no MLP in the chosen parts, so the step changed nothing")
    sizes = {mlp.name: mlp.outgoing.in_features for mlp in found}
    if all(kept(size, amount, multiple) == size for size in sizes.values()):
        raise VlmgateError(
            f"neurons: amount {amount:g} is less than {multiple} neurons of every MLP, so the step changed nothing"
        )
    for mlp in found:
        stay = best(importance(mlp), kept(sizes[mlp.name], amount, multiple))
        for layer in mlp.incoming:
            keep_rows(layer, stay)
        keep_columns(mlp.outgoing, stay)
        for holder in (*mlp.owners, *configs(model, mlp.name)):
            for name in SIZES:
                if getattr(holder, name, None) == sizes[mlp.name]:
                    setattr(holder, name, len(stay))


def importance(mlp: Block) -> Tensor:
    """One number a neuron: the sum over two matrices of max + |min| of what belongs to it."""
    rows = [layer.weight.detach() for layer in mlp.incoming]
    both = rows if len(rows) == 2 else [*rows, mlp.outgoing.weight.detach().T]
    return sum((m.max(dim=1).values + m.min(dim=1).values.abs() for m in both), start=both[0].new_zeros(len(both[0])))
