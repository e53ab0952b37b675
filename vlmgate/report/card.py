"""The card of an exported artefact: what it is, how it was made, what it weighs, and what a run measured of it. Markdown."""

from collections.abc import Mapping
from typing import Any

from vlmgate.report.rows import Row, rows
from vlmgate.spec import CaseRecord, Environment, Run, VlmgateError
from vlmgate.variants.artefact import engine_of

EXACT = {  # name in exact metrics → (words, divisor, decimals)
    "size": ("all files [MB]", 1e6, 2),
    "weight_bytes": ("tensors [MB]", 1e6, 2),
    "expected_bytes": ("tensors by closed form from the recipe [MB]", 1e6, 2),
    "container_bytes": ("graphs and headers beside the tensors [MB]", 1e6, 2),
    "tokenizer_bytes": ("tokenizer, configuration and other files [MB]", 1e6, 2),
    "parameters": ("parameters", 1, 0),
    "bits_per_weight": ("bits a weight", 1, 2),
    "low_precision_share": ("share of weights in 8 bits or fewer", 1, 4),
    "low_precision_kernels": ("share of products with weights that ran in 8 bits or fewer", 1, 4),
    "bf16_kernels": ("share of float nodes that ran in bfloat16, of graphs that are to", 1, 4),
    "sparsity": ("share of zeros in Linear layers", 1, 4),
    "compile_seconds": ("seconds that the first call compiles, once a process", 1, 1),
}


def render(card: Mapping[str, Any], environment: Environment, run: Run | None = None) -> str:
    """README.md of an artefact from its vlmgate.json; measured figures only from ``run``.

    Raises:
        VlmgateError: the run has no case of this model, variant, recipe and checkpoint.
    """
    variant = card["variant"]
    parts = [
        f"# {card['model']}, {variant['name']}",
        f"{variant['about'] or 'A compressed model'}. Made by vlmgate, and proven to give the tokens it was saved with.",
        '```python\nimport vlmgate\n\nvlmgate.load("FOLDER").caption(["photo.jpg"])\n```',
        "## Recipe",
        _recipe(variant),
        "## Exact figures",
        _table([(words, f"{card['exact'][name] / by:,.{places}f}") for name, (words, by, places) in _known(card["exact"])]),
        "## Made with",
        _table(_made_with(card, environment)),
    ]
    if run:
        parts += [f"## Measured in run {run.name}", *_measured(card, run)]
    return "\n\n".join(parts) + "\n"


def _known(exact: Mapping[str, float]) -> list[tuple[str, tuple[str, float, int]]]:
    return [(name, how) for name, how in EXACT.items() if name in exact]


def _recipe(variant: Mapping[str, Any]) -> str:
    steps = [f"{number}. `{step['recipe']}`: {_plain(step['parameters'])}" for number, step in enumerate(variant["steps"], 1)]
    how = f"Runs on {variant['backend']}, {variant['device']}, activations in {variant['dtype']}."
    return "\n".join([*(steps or ["Nothing was changed."]), "", how])


def _made_with(card: Mapping[str, Any], environment: Environment) -> list[tuple[str, str]]:
    key, info = environment.key, environment.info
    return [
        ("checkpoint (SHA-256)", card["checkpoint"]),
        ("processor", f"{key['cpu']} ({key['isa']}), {key['os']}"),
        *([("engine of INT8", engine)] if (engine := engine_of(card)) else []),
        ("GPU", key["gpu"] or "none"),
        ("Python", info["python"]),
        *((name, version) for name, version in info["versions"].items()),
        ("commit", f"{info['commit'] or 'unknown'}{' (changed)' if info['dirty'] else ''}"),
    ]


def _measured(card: Mapping[str, Any], run: Run) -> list[str]:
    """One table a case of this artefact in the run."""
    name, model = card["variant"]["name"], card["model"]
    cases = [record for record in run.cases if (record.model, record.variant) == (model, name)]
    same = [record for record in cases if record.checkpoint == card["checkpoint"] and _alike(record.recipe, card["variant"])]
    if not same:
        lacks = "no case of it" if not cases else "another recipe or checkpoint under that name"
        raise VlmgateError(f"run {run.name} has {lacks} ({model}/{name}); name a run that measured this artefact")
    by_case = {row.case: row for row in rows(run)}
    return [part for record in same for part in (f"`{record.id}`", _table(_figures(record, by_case[record.id])))]


def _figures(record: CaseRecord, row: Row) -> list[tuple[str, str]]:
    found = [("verdict", str(row.verdict or "nothing was asked"))]
    if row.seconds:
        found.append(("seconds a caption", f"{row.seconds:.4f}"))
    if row.speed_up and record.reference:
        words = f"{row.speed_up.centre:.3f}× ({row.speed_up.low:.3f}× to {row.speed_up.high:.3f}×, {row.speed_up.n} blocks)"
        found.append((f"speed-up against {row.reference}", words))
    if row.peak_memory:
        found.append(("peak memory [MB]", f"{row.peak_memory / 1e6:.1f}"))
    for name, score in row.scores.items():
        kept = f", {row.retention[name]:.1%} kept" if name in row.retention and record.reference else ""
        found.append((name, f"{score:.4f}{kept}"))
    return [*found, ("scores", record.signature)] if record.signature else found


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two recipes have the same steps, however JSON wrote them."""
    return _plain(one["steps"]) == _plain(other["steps"])


def _plain(value: Any) -> str:
    """Lists and tuples read alike: JSON knows only one of them."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_plain(value[key])}" for key in sorted(value))
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


def _table(lines: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {str(value).replace('|', ' ')} |" for name, value in lines)])
