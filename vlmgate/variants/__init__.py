"""The registry of variants and of the recipes they are made of (recipes import torch only when asked for)."""

from dataclasses import replace
from importlib import import_module
from typing import Any

from vlmgate.spec import Step, Variant, VlmgateError
from vlmgate.spec.names import unknown

ALL_PARTS = ("vision", "projector", "text")


def _int8(**changes: Any) -> Step:
    plain = {"parts": ALL_PARTS, "per_channel": False, "embeddings": False, "tied": False, "engine": ""}
    return Step("int8_dynamic", plain | changes)


def _prune(recipe: str, **parameters: Any) -> Step:
    return Step(recipe, {"parts": ALL_PARTS, **parameters})


def _cast(dtype: str, **changes: Any) -> Step:
    return Step("cast", {"dtype": dtype, "emulate": False, **changes})


def _bnb_int8(**changes: Any) -> Step:
    return Step("bnb_int8", {"parts": ALL_PARTS, "threshold": 6.0, "head": False, "emulate": False} | changes)


def _bnb_4bit(quant_type: str, **changes: Any) -> Step:
    plain = {"parts": ALL_PARTS, "quant_type": quant_type, "double_quant": False, "compute_dtype": "float32", "head": False}
    return Step("bnb_4bit", plain | changes)


def _twins(name: str, step: Step, about: str) -> tuple[Variant, Variant]:
    """On the CPU beside float32, and on an NVIDIA GPU beside float16, as people run bitsandbytes there."""
    other = {"compute_dtype": "float16"} if "compute_dtype" in step.parameters else {}
    there = (_cast("float16"), replace(step, parameters={**step.parameters, **other}))
    gpu = Variant(f"{name}-cuda", there, device="cuda", dtype="float16", about=f"{about}, beside float16 on an NVIDIA GPU")
    return Variant(name, (step,), about=about), gpu


NF4 = _bnb_4bit("nf4")


def _torchao(scheme: str, **changes: Any) -> Step:
    return Step("torchao", {"parts": ALL_PARTS, "scheme": scheme, "tied": True, "group_size": 64, **changes})


OPENVINO_INT8 = Step(
    "graph",
    {
        "precision": "f32",
        "encoder": "static-int8",
        "step": "static-int8",
        "images": 32,
        "tokens": 8,
        "step_isa": "AVX512_CORE_BF16",
    },
)
OPENVINO_INT4 = Step(
    "graph",
    {
        "precision": "f32",
        "encoder": "static-int8",
        "smooth_quant": False,
        "step": "int4",
        "group_size": 64,
        "images": 32,
        "step_isa": "AVX512_CORE_BF16",
    },
)
COMPILED = Step("compiled", {"backend": "inductor", "dynamic": True})
INT8_TIED = _int8(per_channel=True, embeddings=True, tied=True)
TWO_OF_FOUR = _prune("two_of_four")
THIRTY = _prune("neurons", amount=0.3, multiple=8)
THIRTY_BLOCKS = _prune("neurons", amount=0.3, multiple=64)  # whole blocks of 4-bit weights, which a fused kernel asks for
QUARTER_OF_HEADS = _prune("heads", amount=0.25, grouped="auto")
QUARTER_OF_LAYERS = _prune("layers", amount=0.25)

VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("fp32", about="the unmodified model in float32: the reference"),
        Variant(
            "int8-dynamic", (_int8(),), about="dynamic INT8 of every Linear layer (torch quantize_dynamic, one scale a matrix)"
        ),
        Variant(
            "int8-dynamic-embed",
            (_int8(per_channel=True, embeddings=True),),
            about="dynamic INT8 with one scale a row, embeddings in INT8 too",
        ),
        Variant("int8-dynamic-rows", (_int8(per_channel=True),), about="dynamic INT8 of every Linear layer with one scale a row"),
        Variant(
            "int8-dynamic-tied",
            (INT8_TIED,),
            about="dynamic INT8 with one scale a row; output layer and embedding share one INT8 matrix",
        ),
        Variant("int8-dynamic-vision", (_int8(parts=("vision",)),), about="dynamic INT8 of the vision part only"),
        Variant("int8-dynamic-text", (_int8(parts=("text",)),), about="dynamic INT8 of the text part only"),
        Variant(
            "pruned",
            (_prune("l1_prune", amount=0.3),),
            about="L1 unstructured pruning: the smallest weights of every Linear layer set to zero",
        ),
        Variant("pruned-int8", (_prune("l1_prune", amount=0.3), _int8()), about="L1 pruning, then dynamic INT8"),
        Variant("pruned-2of4", (TWO_OF_FOUR,), about="2:4 pruning: two of every four weights of a row set to zero"),
        Variant("pruned-2of4-int8", (TWO_OF_FOUR, INT8_TIED), about="2:4 pruning, then int8-dynamic-tied"),
        Variant("neurons-30", (THIRTY,), about="structured pruning: 30 % of the neurons of every MLP taken out"),
        Variant("heads-25", (QUARTER_OF_HEADS,), about="structured pruning: a quarter of the heads of every attention taken out"),
        Variant("layers-25", (QUARTER_OF_LAYERS,), about="structured pruning: a quarter of the layers taken out"),
        Variant("neurons-30-int8", (THIRTY, INT8_TIED), about="30 % of the MLP neurons taken out, then int8-dynamic-tied"),
        Variant("heads-25-int8", (QUARTER_OF_HEADS, INT8_TIED), about="a quarter of the heads taken out, then int8-dynamic-tied"),
        Variant("layers-25-int8", (QUARTER_OF_LAYERS, INT8_TIED), about="a quarter of the layers gone, then int8-dynamic-tied"),
        *_twins("bnb-int8", _bnb_int8(), "LLM.int8 of bitsandbytes: INT8 rows, outliers of the activations in floats"),
        *_twins("bnb-int8-vision", _bnb_int8(parts=("vision",)), "LLM.int8 of the vision part only"),
        *_twins("bnb-int8-text", _bnb_int8(parts=("text",)), "LLM.int8 of the text part only"),
        *_twins("bnb-nf4", NF4, "bitsandbytes NF4: 4 bits a weight, a float32 scale for 64 of them"),
        *_twins("bnb-nf4-double", _bnb_4bit("nf4", double_quant=True), "bitsandbytes NF4 with scales in 8 bits"),
        *_twins("bnb-fp4", _bnb_4bit("fp4"), "bitsandbytes FP4: 4 bits a weight, a float32 scale for 64 of them"),
        *_twins("bnb-fp4-double", _bnb_4bit("fp4", double_quant=True), "bitsandbytes FP4 with scales in 8 bits"),
        Variant("pruned-nf4", (_prune("l1_prune", amount=0.3), NF4), about="L1 pruning, then bnb-nf4"),
        Variant("pruned-2of4-nf4", (TWO_OF_FOUR, NF4), about="2:4 pruning, then bnb-nf4"),
        Variant("neurons-30-nf4", (THIRTY_BLOCKS, NF4), about="30 % of the MLP neurons taken out, in whole 64s, then bnb-nf4"),
        Variant("heads-25-nf4", (QUARTER_OF_HEADS, NF4), about="a quarter of the heads taken out, then bnb-nf4"),
        Variant("layers-25-nf4", (QUARTER_OF_LAYERS, NF4), about="a quarter of the layers gone, then bnb-nf4"),
        Variant("bf16", (_cast("bfloat16"),), dtype="bfloat16", about="bfloat16 on the CPU"),
        Variant("fp16", (_cast("float16"),), dtype="float16", about="float16 on the CPU"),
        Variant(
            "mixed-bf16-vision-int8-text",
            (_cast("bfloat16", parts=("vision",)), _int8(parts=("text",), per_channel=True, embeddings=True, tied=True)),
            about="the vision part in bfloat16, the text part in INT8 as int8-dynamic-tied",
        ),
        Variant(
            "fp32-compile",
            (COMPILED,),
            about="the unmodified model under torch.compile: a control, for what compilation alone buys",
        ),
        Variant(
            "torchao-int8-dynamic",
            (_torchao("int8-dynamic"),),
            about="torchao's dynamic INT8: one scale a row and one a token; output layer and embedding share one matrix",
        ),
        Variant(
            "torchao-int8-dynamic-compile",
            (_torchao("int8-dynamic"), COMPILED),
            about="torchao-int8-dynamic under torch.compile, as torchao means it to be run",
        ),
        Variant(
            "torchao-int8-weights",
            (_torchao("int8-weights"),),
            about="INT8 weights of torchao, turned into floats for each product",
        ),
        Variant(
            "torchao-int4-weights",
            (_torchao("int4-weights"),),
            about="torchao's INT4 weights in groups of 64; the output layer, which the embedding shares, in INT8",
        ),
        Variant(
            "torchao-int8-weights-compile",
            (_torchao("int8-weights"), COMPILED),
            about="torchao-int8-weights under torch.compile, as torchao means it to be run",
        ),
        Variant(
            "torchao-int4-weights-compile",
            (_torchao("int4-weights"), COMPILED),
            about="torchao-int4-weights under torch.compile, as torchao means it to be run",
        ),
        Variant("onnx-fp32", backend="onnx", about="float32 in ONNX Runtime: encoder and decoder step with a cache"),
        Variant(
            "onnx-int8",
            (Step("graph", {"weights": "int8"}),),
            backend="onnx",
            about="ONNX Runtime with INT8 matrices (one scale a column), activations quantized at run time",
        ),
        Variant(
            "openvino-fp32",
            (Step("graph", {"precision": "f32"}),),
            backend="openvino",
            about="float32 in OpenVINO: encoder and decoder step with a cache",
        ),
        Variant(
            "openvino-bf16",
            (Step("graph", {"precision": "bf16"}),),
            backend="openvino",
            about="OpenVINO computing in bfloat16, weights stored in float32",
        ),
        Variant("openvino-int8", (OPENVINO_INT8,), backend="openvino", about="OpenVINO in INT8, calibrated on training scenes"),
        Variant(
            "openvino-int8-bf16",
            (replace(OPENVINO_INT8, parameters={**OPENVINO_INT8.parameters, "precision": "bf16", "step_precision": "f32"}),),
            backend="openvino",
            about="the same artefact; what the encoder does not multiply in INT8, such as attention, runs in bfloat16",
        ),
        Variant(
            "openvino-int4",
            (OPENVINO_INT4,),
            backend="openvino",
            about="OpenVINO with the encoder in INT8 and the decoder in INT4, a scale for 64 weights",
        ),
        Variant("fp32-cuda", device="cuda", about="the unmodified model in float32 on an NVIDIA GPU: the CUDA tier's reference"),
        Variant("fp16-cuda", (_cast("float16"),), device="cuda", dtype="float16", about="float16 on an NVIDIA GPU"),
    )
}

RECIPES: dict[str, str] = {
    "int8_dynamic": "vlmgate.variants.int8_dynamic",
    "l1_prune": "vlmgate.variants.l1_prune",
    "two_of_four": "vlmgate.variants.two_of_four",
    "neurons": "vlmgate.variants.neurons",
    "heads": "vlmgate.variants.heads",
    "layers": "vlmgate.variants.layers",
    "bnb_int8": "vlmgate.variants.bnb_int8",
    "bnb_4bit": "vlmgate.variants.bnb_4bit",
    "torchao": "vlmgate.variants.torchao",
    "cast": "vlmgate.variants.cast",
    "compiled": "vlmgate.variants.compiled",
    "artefact": "vlmgate.variants.artefact",
    "graph": "vlmgate.variants.graph",
    "slowed": "vlmgate.variants.slowed",
    "inflated": "vlmgate.variants.inflated",
    "hog": "vlmgate.variants.hog",
}


def recipe(name: str) -> Any:
    """The module of a recipe: ``missing(parameters) -> str``, ``apply(model, prefixes, parameters)``; optionally
    ``attach(captioner, parameters)``, ``shapes(model, prefixes, parameters)``, ``versions()`` of the libraries it packs with,
    ``SHRINKS`` (it takes parameters out), ``KEEPS_WEIGHTS`` (``apply`` changes none, else an unchanged model is an error; where
    it is not said, true for what has ``attach``), ``LOW_PRECISION_KERNELS`` (they run: a bool, or a function of parameters) and
    ``multiplies(layer)`` (the type in which a layer that the step left on shapes is multiplied, where not all are INT8)."""
    if name not in RECIPES:
        raise VlmgateError(f"{unknown('recipe', name, RECIPES)}; one of your own needs its plugin, named as plugins")
    return import_module(RECIPES[name])
