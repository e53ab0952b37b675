"""The reports of a run: run.json, comparison.md and comparison.csv in its folder, and lines for the terminal."""

from pathlib import Path

from vlmgate.record import atomic_write, write_run
from vlmgate.report import card, csv_file, markdown, terminal
from vlmgate.spec import Run

__all__ = ["card", "csv_file", "markdown", "terminal", "write_reports"]


def write_reports(run: Run, folder: Path) -> list[Path]:
    """Write run.json, comparison.md and comparison.csv into ``folder``, each atomically; returns their paths in this order.

    The record comes first: whatever befalls a table, what was measured is kept. Raises VlmgateError where the folder cannot
    be written or the run does not fit its schema.
    """
    return [
        write_run(run, folder),
        atomic_write(folder / "comparison.md", markdown.render(run)),
        atomic_write(folder / "comparison.csv", csv_file.render(run)),
    ]
