"""The registry of backends: runtimes other than torch that run a captioner as two exported graphs (imported when asked for)."""

from importlib import import_module
from typing import Any

from vlmgate.spec import Variant

TORCH = "torch"  # needs no module here
BACKENDS: dict[str, str] = {
    "onnx": "vlmgate.backends.onnx",
    "openvino": "vlmgate.backends.openvino",
}


def backend(name: str) -> Any:
    """The module of a backend.

    It has ``VERSION`` (raised when its artefacts change), ``missing(variant, build=True) -> str`` (without ``build``: to run an
    artefact that is there), ``versions() -> dict[str, str]``,
    ``build(graphs, variant, folder, pixels) -> (exact metrics, runner)`` and ``load(folder, card, variant) -> runner``, where a
    runner is what `vlmgate.backends.greedy` decodes with and ``pixels(n)`` gives n training images to calibrate on, and
    ``weighed(folder)``: what the constants in the files weigh (`vlmgate.backends.weights`), or nothing where they cannot be read
    here. Optional are ``low_precision_kernels(runner)``, the share of the products with weight matrices that its last call ran in
    8 bits or fewer; ``bf16_kernels(runner)``, the share of the float nodes that it ran in bfloat16, of the graphs that are to be;
    ``precisions(variant)``: graph (encoder, step) → kind of product (``matrix``, ``conv`` or ``activations``, and ``head`` where
    the output layer is unlike other matrices) → type in which it is multiplied (fp32, bf16, int8) and bytes a weight as they are
    read, by which the variant's roofline is worked out; and ``stored(variant)``: graph → kind of weights (``matrix``, ``head``,
    ``conv``, ``embedding``, and ``smoothing`` where activations are smoothed) → bytes a weight and bytes a row of those that are
    not stored in float32; or None where that is not known.
    """
    return import_module(BACKENDS[name])


def graph_parameters(variant: Variant) -> dict[str, Any]:
    """Parameters of the variant's ``graph`` step, which says how the exported graphs are compressed; none: not at all."""
    return dict(next((step.parameters for step in variant.steps if step.recipe == "graph"), {}))


def promises_int8(variant: Variant) -> bool:
    """Whether the variant's ``graph`` step asks for products in INT8."""
    return any("int8" in str(value) for value in graph_parameters(variant).values())


def promises_bf16(variant: Variant) -> bool:
    """Whether the variant's ``graph`` step asks for a graph in bfloat16."""
    return "bf16" in graph_parameters(variant).values()
