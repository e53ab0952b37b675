"""The ceilings of a machine as a table, and what is said where shares of the roofline are not known."""

from collections.abc import Mapping, Sequence
from typing import Any

from vlmgate.record.roofline import Ceilings
from vlmgate.report.markdown import escape, table
from vlmgate.report.rows import threads
from vlmgate.report.terminal import MISSING, significant
from vlmgate.stats.roofline import BANDWIDTH

COLUMNS = {  # key of the rates → head
    "fp32": "FP32 [GFLOP/s]",
    "bf16": "BF16 [GFLOP/s]",
    "fp16": "FP16 [GFLOP/s]",
    "int8": "INT8 [GOP/s]",
    BANDWIDTH: "memory [GB/s]",
}


def heads() -> tuple[str, ...]:
    """Heads of the columns of `cells`."""
    return ("threads", *COLUMNS.values())


def cells(of: Ceilings) -> tuple[str, ...]:
    """Threads, and each rate in 10⁹ a second."""
    return (str(of.threads), *(significant(of.rates[key] / 1e9) if of.rates.get(key) else MISSING for key in COLUMNS))


def section(used: Sequence[Ceilings], unknown: Mapping[str, Any]) -> str:
    """The ceilings that a page used, in Markdown, with how they were measured; ``unknown``: variant → why it has no floor."""
    if not used:
        return "Shares of the roofline are not known: measure the ceilings of this machine (`vlmgate ceilings`) and let \
`vlmgate work RUN` count the work of a caption, both need torch."
    rows = [(each.machine["isa"], *cells(each)) for each in used]
    parts = ["## Ceilings", table(("processor", *heads()), rows, left=(0,))]
    for each in used:
        how = "; ".join(f"{key}: {words}" for key, words in each.how.items())
        versions = ", ".join(f"{name} {version}" for name, version in each.versions.items())
        where = f"{threads(each.threads)}, {each.machine['cpu']}, {each.machine['isa']}"
        parts.append(escape(f"{where}, {each.measured}, {versions}. Fastest: {how}."))
    if unknown:
        parts.append("Work not known: " + escape("; ".join(f"{name} ({why})" for name, why in unknown.items())) + ".")
    return "\n\n".join(parts)
