"""Do captions change with what shares the batch? The same images alone, in batches, and in batches of other company.

python docs/batch_effect.py [--model NAME] [--variants A,B] [--batch 8] [--images 320]

Dynamic quantization takes the scale of the activations from all that is multiplied together, so an image with large activations
makes its neighbours coarser. FP32 is printed as a control: a batch runs other kernels, which round differently, too.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vlmgate.api import prepare  # noqa: E402
from vlmgate.cli.common import count  # noqa: E402
from vlmgate.cli.studies import end  # noqa: E402
from vlmgate.datasets import load_dataset  # noqa: E402
from vlmgate.metrics.scores import corpus, statistics  # noqa: E402
from vlmgate.running import cache_folder  # noqa: E402
from vlmgate.selftest.tables import Table, render  # noqa: E402

DYNAMIC = "fp32,int8-dynamic,onnx-int8,torchao-int8-dynamic,bnb-int8,openvino-int8"


def captions(artefact: Any, examples: Sequence[Any], batch: int, seed: int | None = None) -> dict[str, str]:
    """Example id → caption, in batches; the order is shuffled where there is a seed, and the last batch may be smaller."""
    order = list(examples)
    if seed is not None:
        random.Random(seed).shuffle(order)
    said: dict[str, str] = {}
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        said |= zip([str(each.id) for each in part], artefact.caption([each.image for each in part]), strict=True)
    return said


def row(name: str, artefact: Any, examples: Sequence[Any], batch: int) -> list[object]:
    """How many captions differ alone, together, and in other company, and CIDEr of each."""
    ways = [captions(artefact, examples, 1), captions(artefact, examples, batch), captions(artefact, examples, batch, seed=0)]
    references = {str(each.id): each.references for each in examples}
    scores = [float(corpus(np.array(list(statistics(said, references).values())))["cider"][0]) for said in ways]
    alone, together, shuffled = ways
    differ = [sum(one[key] != other[key] for key in alone) for one, other in ((alone, together), (together, shuffled))]
    return [name, *differ, *(f"{score:.3f}" for score in scores)]


def main() -> int:
    """Print the table."""
    made = argparse.ArgumentParser(description="Captions alone, in batches, and in batches of other company.")
    made.add_argument("--model", default="scene-blip", metavar="NAME")
    made.add_argument("--dataset", default="scenes", metavar="NAME")
    made.add_argument("--variants", default=DYNAMIC, metavar="A,B", help="default: %(default)s")
    made.add_argument("--batch", type=count, default=8, metavar="N", help="images that share a batch (default: %(default)s)")
    made.add_argument("--images", type=count, default=320, metavar="N", help="default: %(default)s")
    options = made.parse_args()
    examples = load_dataset(options.dataset, ROOT, cache_folder(), options.images).examples
    rows = []
    for name in options.variants.split(","):
        print(f"captioning {len(examples)} images three times with {name}", file=sys.stderr)
        artefact = prepare(options.model, name, suite=ROOT / "benchmarks" / "suite.yaml", threads=1)
        rows.append(row(name, artefact, examples, options.batch))
    head = [
        "variant",
        f"1 against {options.batch}",
        "other company",
        "CIDEr, 1",
        f"CIDEr, {options.batch}",
        "CIDEr, other company",
    ]
    title = f"{options.model}, {len(examples)} images: captions that differ alone and in batches of {options.batch}"
    print(render([Table(title, head, rows)]), end="")
    return 0


if __name__ == "__main__":
    end("batch_effect", main)
