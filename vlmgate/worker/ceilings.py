"""The job that measures the ceilings of this machine: products a second by type, and bytes a second read from memory."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from vlmgate.protocol import Message
from vlmgate.worker.common import Emit, set_threads

LEAST_CALLS = 2  # the first one pays for memory and packing
PATIENCE = 4.0  # a size whose calls would each take longer is left out, as on a processor that only emulates the type
LAGS = 0.5  # a way that reaches less than this share of the best so far is not tried with larger matrices


def ceilings(job: Message, emit: Emit) -> None:
    """Best of several large square products (``sizes``) of each type, and best of two reads of an array of ``bytes``.

    Each is called for ``seconds`` and at least `LEAST_CALLS` times, and its fastest call counts: a ceiling is a best case. One
    such job is one try of several (see `vlmgate.record.roofline`). The result has type → [operations or bytes a second, how]; a
    type that cannot be computed here is left out.
    """
    set_threads(job)
    found: dict[str, list[Any]] = {}
    for kind, ways in (("fp32", _floats), ("bf16", _floats), ("fp16", _floats), ("int8", _int8)):
        emit({"event": "stage", "arm": kind, "stage": "measuring"})
        for how, product in ways(kind):
            best = found.get(kind, [0.0])[0]
            rate, size = _best(product, job["sizes"], job["seconds"], best)
            if rate > best:
                found[kind] = [rate, f"{how}, {size} × {size}"]
    emit({"event": "stage", "arm": "memory", "stage": "measuring"})
    found["bandwidth"] = _read(job["bytes"], job["seconds"])
    emit({"event": "result", "data": found})


Product = Callable[[int], Callable[[], Any]]  # size → what multiplies two square matrices of that size


def _best(product: Product, sizes: list[int], seconds: float, other: float = 0.0) -> tuple[float, int]:
    """(operations a second, size) of the best size; (0, 0) where this torch cannot multiply so. ``other`` is the best of the ways
    before this one."""
    best = (0.0, 0)
    for size in sorted(sizes):
        if best[0] and (best[0] < LAGS * other or 2 * size**3 / best[0] > PATIENCE):
            break
        try:
            fastest = _fastest(product(size), seconds)
        except RuntimeError:  # the type or the kernel is not there
            break
        best = max(best, (2 * size**3 / fastest, size))
    return best


def _fastest(call: Callable[[], Any], seconds: float) -> float:
    """Seconds of the fastest call."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < LEAST_CALLS or time.perf_counter() < until:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def _floats(kind: str) -> Iterator[tuple[str, Product]]:
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[kind]

    def product(size: int) -> Callable[[], Any]:
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        into = torch.empty(size, size, dtype=dtype)
        return lambda: torch.mm(a, b, out=into)

    yield "torch.mm", product


def _int8(kind: str) -> Iterator[tuple[str, Product]]:
    """torch's quantized Linear with every engine for x86 or ARM, and its plain product of integers."""
    import torch

    for engine in torch.backends.quantized.supported_engines:
        if engine != "none":
            yield f"quantized.linear ({engine})", _linear(engine)

    def integers(size: int) -> Callable[[], Any]:
        a, b = (torch.randint(-127, 127, (size, size), dtype=torch.int8) for _ in range(2))
        return lambda: torch._int_mm(a, b)

    yield "torch._int_mm", integers


def _linear(engine: str) -> Product:
    import torch

    def product(size: int) -> Callable[[], Any]:
        from vlmgate.variants.packed import packing

        values = torch.quantize_per_tensor(torch.randn(size, size), 0.05, 64, torch.quint8)
        weight = torch.quantize_per_tensor(torch.randn(size, size), 0.05, 0, torch.qint8)
        with packing(engine):
            packed = torch.ops.quantized.linear_prepack(weight, None)
        return lambda: torch.ops.quantized.linear(values, packed, 0.1, 64)

    return product


def _read(size: int, seconds: float) -> list[Any]:
    """Bytes a second of reading an array of float32 once: by its sum, and by a product with a vector."""
    import torch

    rows = 1024
    array = torch.ones(rows, size // (4 * rows))
    vector, held = torch.ones(array.shape[1]), array.numel() * 4
    ways = {"torch.sum": lambda: array.sum(), "torch.mv": lambda: torch.mv(array, vector)}
    rate, how = max((held / _fastest(call, seconds), name) for name, call in ways.items())
    return [rate, f"{how} of {held / 1e6:.0f} MB"]
