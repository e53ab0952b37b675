"""How long a caption takes under each way of letting OpenMP threads wait; the table of docs/variance.md.

python docs/waiting.py [--model blip-base] [--calls 12]      beside a busy neighbour, if you start one
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
WAYS = {
    "unbounded (default)": {"OMP_NUM_THREADS": "2"},
    "GOMP_SPINCOUNT=10000": {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "10000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def measure(name: str, calls: int) -> None:
    """Print the median and range of the seconds of ``calls`` captions of 16 tokens, after two for warming up."""
    import time

    from vlmgate.artefacts import build_artefact, load_artefact
    from vlmgate.datasets.images import open_image
    from vlmgate.models import MODELS
    from vlmgate.models.source import checkpoint_folder
    from vlmgate.running import cache_folder
    from vlmgate.variants import VARIANTS

    model = MODELS[name]
    with tempfile.TemporaryDirectory() as scratch:
        artefact = Path(scratch) / "fp32"
        build_artefact(model, VARIANTS["fp32"], checkpoint_folder(model, ROOT, cache_folder()), artefact)
        captioner = load_artefact(artefact)
    inputs = captioner.inputs([open_image(ROOT / "fixtures" / "scenes" / "images" / "000000.jpg")])
    seconds = []
    for _ in range(calls + 2):
        began = time.perf_counter()
        captioner.tokens(inputs, least=16, most=16)
        seconds.append(time.perf_counter() - began)
    kept = seconds[2:]
    print(f"{median(kept):.3f} s ({min(kept):.3f} to {max(kept):.3f})")


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds a caption under each way of letting OpenMP threads wait.")
    parser.add_argument("--model", default="scene-blip", choices=["scene-blip", "blip-base", "blip-large"])
    parser.add_argument("--calls", type=int, default=12, metavar="N")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure(options.model, options.calls)
        return
    command = [sys.executable, __file__, "--child", "--model", options.model, "--calls", str(options.calls)]
    for name, way in WAYS.items():
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **way}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        print(f"{name:24} {done.stdout.splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    main()
