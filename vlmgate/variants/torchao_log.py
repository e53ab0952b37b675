"""What torchao says when it is imported, which transformers does with most models, and nobody can do anything about.

Where torch has no CUDA its kernels for GPUs cannot be loaded, and it registers two Enums of its own in a way that torch 2.13 no
longer wants.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

FOR_GPUS = re.compile(r"Failed to load [^:]*/_C_(cutlass|mxfp8)[^/:]*: ")  # libraries of CUDA alone, in torchao 0.18
ENUMS = re.compile(r"<enum '(KernelPreference|ScaleCalculationMode)'> is an Enum subclass and is now natively supported")


@contextmanager
def without_torchaos_notices() -> Iterator[None]:
    """Leave out just these notices while the block lasts."""
    filters = {"torchao": _on_loading, "torch.utils._pytree": _on_enums}
    for name, worth_saying in filters.items():
        logging.getLogger(name).addFilter(worth_saying)
    try:
        yield
    finally:
        for name, worth_saying in filters.items():
            logging.getLogger(name).removeFilter(worth_saying)


def _on_loading(record: logging.LogRecord) -> bool:
    import torch  # which torchao has imported before it says anything

    return torch.version.cuda is not None or not FOR_GPUS.match(record.getMessage())


def _on_enums(record: logging.LogRecord) -> bool:
    return not ENUMS.match(record.getMessage())
