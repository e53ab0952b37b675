"""Where the time of a variant goes that runs in OpenVINO: node by node, as OpenVINO's own profiler counts it.

python docs/node_times.py [--model blip-base] [--variant openvino-int8] [--calls 20] [--tokens 20]

The two graphs are compiled with ``PERF_COUNT`` (https://docs.openvino.ai/2026/, "CPU device"), which makes a call slower.
What a call takes beyond its nodes is the loop around them: setting inputs, starting a request, choosing the next token.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vlmgate.cli.common import count  # noqa: E402
from vlmgate.cli.studies import end  # noqa: E402
from vlmgate.selftest.tables import Table, render  # noqa: E402
from vlmgate.spec import VlmgateError  # noqa: E402

HEAD = ["graph", "node", "kernel", "nodes a call", "ms a caption", "share [%]"]
REST = "the loop around the graphs"
SMALL = 0.005  # share of a caption below which kinds of nodes are added up


def watch(request: Any, graph: str, seen: list[tuple[str, str, str, float]], asking: list[float]) -> None:
    """Add (graph, kind of node, kernel, seconds) of each node to ``seen`` after each call of the request, and the seconds that
    asking took to ``asking``."""
    wait = request.wait

    def profiled() -> Any:
        answer = wait()
        began = time.perf_counter()
        for node in request.get_profiling_info():
            if seconds := node.real_time.total_seconds():
                seen.append((graph, node.node_type, node.exec_type, seconds))
        asking.append(time.perf_counter() - began)
        return answer

    request.wait = profiled


def shares(calls: Sequence[tuple[float, Iterable[tuple[str, str, str, float]]]]) -> list[list[object]]:
    """Rows of ``HEAD``, the longest first, as means over calls: seconds, and (graph, kind, kernel, seconds) of each node."""
    times: dict[tuple[str, str, str], float] = defaultdict(float)
    numbers: dict[tuple[str, str, str], int] = defaultdict(int)
    whole = sum(seconds for seconds, _ in calls)
    for graph, kind, kernel, seconds in (node for _, nodes in calls for node in nodes):
        times[graph, kind, kernel] += seconds
        numbers[graph, kind, kernel] += 1
    for key in [key for key, seconds in times.items() if seconds < SMALL * whole]:
        together = (key[0], "other nodes", "")
        times[together] += times.pop(key)
        numbers[together] += numbers.pop(key)
    times["both", REST, ""] = whole - sum(times.values())
    return [
        [*key, numbers[key] // len(calls) or "", f"{1000 * seconds / len(calls):.1f}", f"{100 * seconds / whole:.1f}"]
        for key, seconds in sorted(times.items(), key=lambda item: -item[1])
    ]


def profiled(model: str, variant: str, calls: int, tokens: int, threads: int) -> tuple[float, list[list[object]]]:
    """Mean seconds of a call with ``tokens`` new tokens, and the rows of the table.

    Raises:
        VlmgateError: the variant does not run in OpenVINO, or not on this machine.
    """
    import torch

    from vlmgate.api import prepare
    from vlmgate.backends.openvino_runner import Runner, core
    from vlmgate.datasets.images import open_image

    torch.set_num_threads(threads)
    core().set_property({"PERF_COUNT": True})
    runner = (artefact := prepare(model, variant, suite=ROOT / "benchmarks" / "suite.yaml", threads=threads)).captioner.model
    if not isinstance(runner, Runner):
        raise VlmgateError(f"{variant} does not run in OpenVINO; take one of vlmgate list whose name begins with openvino-")
    inputs = artefact.captioner.inputs([open_image(ROOT / "fixtures" / "scenes" / "images" / "000000.jpg")])
    artefact.captioner.tokens(inputs, least=tokens, most=tokens)  # compiles the step for a single text
    seen: list[tuple[str, str, str, float]] = []
    asking: list[float] = []
    for graph, request in (("encoder", runner.encoder), *(("step", step) for pair in runner.pairs.values() for step in pair)):
        watch(request, graph, seen, asking)
    done = []
    for number in range(calls + 3):  # three to warm up
        seen.clear()
        asking.clear()
        began = time.perf_counter()
        artefact.captioner.tokens(inputs, least=tokens, most=tokens)
        if number >= 3:
            done.append((time.perf_counter() - began - sum(asking), tuple(seen)))
    return fmean(seconds for seconds, _ in done), shares(done)


def main() -> int:
    """Print the table."""
    made = argparse.ArgumentParser(description="Where the time of a variant goes that runs in OpenVINO.")
    made.add_argument("--model", default="blip-base", metavar="NAME", help="default: %(default)s")
    made.add_argument("--variant", default="openvino-int8", metavar="NAME", help="default: %(default)s")
    made.add_argument("--calls", type=count, default=20, metavar="N", help="default: %(default)s")
    made.add_argument("--tokens", type=count, default=20, metavar="N", help="new tokens a caption (default: %(default)s)")
    made.add_argument("--threads", type=count, default=2, metavar="N", help="default: %(default)s")
    of = made.parse_args()
    seconds, rows = profiled(of.model, of.variant, of.calls, of.tokens, of.threads)
    how = f"{of.tokens} new tokens, {of.threads} threads, mean of {of.calls}"
    title = f"{of.model}/{of.variant}: {1000 * seconds:.0f} ms a caption ({how})"
    print(render([Table(title, HEAD, rows)]), end="")
    return 0


if __name__ == "__main__":
    end("node_times", main)
