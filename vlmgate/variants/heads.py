"""Structured pruning of attention heads: whole heads leave query, key, value and output projection.

The importance of a head is the norm of its columns of the output projection. Grouped-query attention is respected: whole
groups (a key/value head with its queries) go, or the same number of query heads in each group.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vlmgate.spec import VlmgateError
from vlmgate.variants.attention import PlainAttention
from vlmgate.variants.structure import (
    ATTENTIONS,
    HEAD_DIM,
    HEADS,
    Block,
    best,
    blocks,
    configs,
    keep_columns,
    keep_rows,
    kept,
    share,
)

SHRINKS = True
GROUPED = ("auto", "whole", "within")


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Take the share ``amount`` of the heads out of every attention under ``prefixes``, in place, the least important first.

    ``grouped`` says what goes where several queries share a key: ``whole`` groups, query heads ``within`` every group, or
    ``auto``: whole groups where there are several.

    Raises:
        VlmgateError: a parameter is out of its range, no attention was found, or ``amount`` is less than one head of each.
    """
    amount, grouped = share(parameters, "heads"), parameters.get("grouped", "auto")
    if grouped not in GROUPED:
        raise VlmgateError(f"heads: grouped is {grouped!r}; expected one of {', '.join(GROUPED)}")
    found = list(blocks(model, prefixes, ATTENTIONS))
    if not found:
        raise VlmgateError("heads: no attention in the chosen parts, so the step changed nothing")
    before = sum(block.outgoing.in_features for block in found)
    for block in found:
        _prune(model, block, amount, grouped)
    if before == sum(block.outgoing.in_features for block in found):
        raise VlmgateError(f"heads: amount {amount:g} is less than one head of every attention, so the step changed nothing")


def _prune(model: nn.Module, block: Block, amount: float, grouped: str) -> None:
    width = block.outgoing.in_features
    size = block.number(HEAD_DIM) or width // max(1, block.number(HEADS))
    heads = width // size
    keys = heads if len(block.incoming) == 1 else block.incoming[1].out_features // size
    queries, groups = choose(norms(block.outgoing, size), keys, amount, grouped)
    if len(queries) == heads:
        return
    if len(block.incoming) == 1:  # query, key and value are the thirds of one matrix
        keep_rows(block.incoming[0], torch.cat([_features(queries, size) + third * width for third in range(3)]))
    else:
        for layer, which in zip(block.incoming, (queries, groups, groups), strict=True):
            keep_rows(layer, _features(which, size))
    keep_columns(block.outgoing, _features(queries, size))
    _tell(model, block, heads, keys, len(queries), len(groups), size)


def norms(outgoing: nn.Linear, size: int) -> Tensor:
    """One number a head: the norm of its columns of the output projection."""
    weight = outgoing.weight.detach()
    return weight.reshape(len(weight), -1, size).square().sum(dim=(0, 2)).sqrt()


def choose(importance: Tensor, keys: int, amount: float, grouped: str = "auto") -> tuple[Tensor, Tensor]:
    """The query heads and the key/value heads that stay; query head q belongs to key/value head q // (heads ÷ keys)."""
    heads = len(importance)
    each = heads // keys
    table = importance.reshape(keys, each)
    if each == 1 or grouped == "whole" or (grouped == "auto" and keys > 1):
        groups = best(table.square().sum(dim=1), kept(keys, amount))
        return (groups[:, None] * each + torch.arange(each)).flatten(), groups
    stay = torch.stack([best(row, kept(each, amount)) for row in table])
    return (stay + torch.arange(keys)[:, None] * each).flatten(), torch.arange(keys)


def _features(heads: Tensor, size: int) -> Tensor:
    """Rows or columns of these heads."""
    return (heads[:, None] * size + torch.arange(size)).flatten()


def _tell(model: nn.Module, block: Block, heads: int, keys: int, queries: int, groups: int, size: int) -> None:
    """Put the new numbers where module and configuration hold the old ones."""
    new = dict.fromkeys(HEADS, queries) | {"num_key_value_heads": groups, "all_head_size": queries * size}
    new["num_key_value_groups"] = queries // groups
    for owner in block.owners:
        for name, value in new.items():
            if isinstance(getattr(owner, name, None), int):
                setattr(owner, name, value)
    for config in configs(model, block.name):
        told = getattr(config, "head_dim", None) == size and not config.hidden_size % queries  # else the shapes say it
        if told and (config.num_attention_heads, config.num_key_value_heads) == (heads, keys):
            config.num_attention_heads, config.num_key_value_heads = queries, groups
    if getattr(block.module, "projection", None) is block.outgoing:  # whose code takes a head's width from the model's
        parent, _, child = block.name.rpartition(".")
        setattr(model.get_submodule(parent), child, PlainAttention.of(block.module, queries, size))
