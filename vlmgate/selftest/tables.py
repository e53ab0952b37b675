"""Tables of the self-check for the terminal and, by the same words, for documents in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate


@dataclass(frozen=True)
class Table:
    """A title, heads of columns, rows, and what must be known to read it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    notes: Sequence[str] = ()


def render(tables: Sequence[Table], markdown: bool = False) -> str:
    """All tables as text, or as Markdown."""
    return "\n\n".join(_markdown(table) if markdown else _plain(table) for table in tables) + "\n"


def _plain(table: Table) -> str:
    body = tabulate(table.rows, headers=list(table.head), disable_numparse=True)
    return "\n".join([table.title, "", body, *(f"  {note}" for note in table.notes)])


def _markdown(table: Table) -> str:
    body = tabulate(table.rows, headers=list(table.head), tablefmt="github", disable_numparse=True)
    return "\n".join([f"**{table.title}**", "", body, *(f"\n{note}" for note in table.notes)])
