"""`vlmgate cache`: what is kept of prepared artefacts, checkpoints, rendered scenes and unpacked commits, and clearing it."""

import argparse

from tabulate import tabulate

from vlmgate.cli.common import PASSED, Command
from vlmgate.running.cache import Entry, ago, clear, entries, in_use, size_limit
from vlmgate.running.options import cache_folder
from vlmgate.spec import VlmgateError
from vlmgate.spec.names import suggested


def show_cache(options: argparse.Namespace) -> int:
    """List the cache, or clear what a pattern matches."""
    return _show() if options.clear is None else _clear(options.clear)


def _show() -> int:
    found = entries(cache_folder())
    rows = [_row(each) for each in reversed(found)]
    if rows:
        print(tabulate(rows, headers=["kind", "name", "variant", "size [MB]", "age", "last use"], disable_numparse=True))
        print()
    total = sum(each.size for each in found)
    print(f"{total / 1e9:.2f} of {size_limit() / 1e9:g} GB (VLMGATE_CACHE_SIZE) in {cache_folder()}")
    return PASSED


def _row(each: Entry) -> list[str]:
    last = "in use" if in_use(each) else ago(each.used)
    return [each.kind, each.name, each.variant, f"{each.size / 1e6:.1f}", ago(each.made), last]


def _clear(pattern: str) -> int:
    removed, kept = clear(cache_folder(), pattern)
    if not removed and not kept and pattern != "*":
        there = suggested(pattern, {each.id for each in entries(cache_folder())})
        raise VlmgateError(f"nothing in {cache_folder()} matches {pattern!r}; {there}")
    for each in kept:
        print(f"{each.id} is in use by a run and was kept")
    print(f"cleared {len(removed)} of {len(removed) + len(kept)}, {sum(each.size for each in removed) / 1e6:.1f} MB")
    return PASSED


def add(command: Command) -> None:
    """The parser of this module's command."""
    one = command("cache", show_cache, "list what is prepared and kept on disk, with size, age and last use; or clear it")
    one.add_argument(
        "--clear",
        nargs="?",
        const="*",
        metavar="PATTERN",
        help="remove what matches, such as 'blip-base/*' (default: everything)",
    )
