"""comparison.csv: one row a case, plain numbers to 12 digits, units in the names of the columns."""

import csv
import io
import math

from vlmgate.report.rows import Row, rows
from vlmgate.report.terminal import plain
from vlmgate.spec import Outcome, Run

SCORES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider")
COLUMNS = (
    *("case", "model", "variant", "dataset", "reference", "time_per_image_s", "speed_up", "speed_up_low", "speed_up_high"),
    *("images_per_s", "peak_memory_bytes", "peak_memory_lowest", "peak_memory_highest", "memory_ratio"),
    *("size_bytes", "size_ratio"),
    *(column for score in SCORES for column in (score, f"{score}_retention")),
    *("first_token_s", "further_token_s", "call_p50_s", "call_p90_s", "new_tokens", "images_per_s_by_batch"),
    *("energy_per_image_j", "gpu_memory_bytes", "gpu_memory_ratio", "verdict", "reason"),
)
DANGEROUS = ("=", "+", "-", "@")  # a spreadsheet takes such a cell for a formula (OWASP, CSV Injection)

Cell = str | float | None


def render(run: Run) -> str:
    """The whole file: a head of ``COLUMNS`` and one row a case; an empty cell where nothing was measured.

    Speed-up has its 95 % interval beside it, retention is a share (0.98), ``reason`` holds the skip or failure, or the
    sentences of the worst verdict. Lines end in CR LF (RFC 4180).
    """
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(COLUMNS)
    for row in rows(run):
        writer.writerow([_cell(value) for value in _values(run, row)])
    return target.getvalue()


def _values(run: Run, row: Row) -> list[Cell]:
    speed = row.speed_up
    interval: list[Cell] = [speed.centre if speed else None, None, None]
    if speed and math.isfinite(speed.high):  # one block has no interval
        interval[1:] = speed.low, speed.high
    spread: list[Cell] = [min(row.peaks), max(row.peaks)] if row.peaks else [None, None]  # over processes
    bytes_: list[Cell] = [row.peak_memory, *spread, row.memory_ratio, row.size, row.size_ratio]
    scores: list[Cell] = [of.get(score) for score in SCORES for of in (row.scores, row.retention)]
    names: list[Cell] = [row.case, row.model, row.variant, row.dataset, row.reference]
    verdict: list[Cell] = [row.verdict.value if row.verdict else None, _reason(run, row)]
    on_gpu: list[Cell] = [row.gpu_memory, row.gpu_ratio]
    return [*names, row.seconds, *interval, row.images_per_second, *bytes_, *scores, *_anatomy(row), *on_gpu, *verdict]


def _anatomy(row: Row) -> list[Cell]:
    """Seconds a call; the throughput of all batch sizes in one cell, for a column a size would differ from run to run."""
    of = row.anatomy
    if of is None:
        return [None] * 7
    rates = "; ".join(f"{size}: {rate:.12g}" for size, rate in of.throughput.items())
    return [of.first_token, of.per_token, of.p50, of.p90, float(of.tokens), rates, of.energy]


def _reason(run: Run, row: Row) -> str:
    if row.text or row.verdict not in (Outcome.FAIL, Outcome.UNRESOLVED):
        return row.text
    return " | ".join(each.sentence for each in run.verdicts if each.case == row.case and each.outcome is row.verdict)


def _cell(value: Cell) -> str:
    """Numbers to 12 digits; text that a spreadsheet would run gets a leading apostrophe."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return f"{value:.12g}" if math.isfinite(value) else ""
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(DANGEROUS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
