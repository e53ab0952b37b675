"""The registry of metrics: what is measured, in which unit, which direction is good. Imports nothing heavy."""

from vlmgate.spec import Better, Metric, Question

_HIGHER, _LOWER = Better.HIGHER, Better.LOWER
_LATENCY, _MEMORY, _SIZE, _QUALITY = Question.LATENCY, Question.MEMORY, Question.SIZE, Question.QUALITY
_ENERGY = Question.ENERGY

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("time_per_caption", "s", _LOWER, _LATENCY, "speed-up", exact=False),
        Metric("size", "B", _LOWER, _SIZE, "reduction", exact=True),
        Metric("parameters", "", _LOWER, _SIZE, "", exact=True),
        Metric("bits_per_weight", "", _LOWER, _SIZE, "", exact=True),  # 8 × bytes of all tensors ÷ weights
        Metric("low_precision_share", "", _HIGHER, _SIZE, "", exact=True),  # weights in 8 bits or fewer
        Metric("low_precision_kernels", "", _HIGHER, _SIZE, "", exact=True),  # share of products that ran so
        Metric("bf16_kernels", "", _HIGHER, _SIZE, "", exact=True),  # share of float nodes that ran so
        Metric("sparsity", "", _HIGHER, _SIZE, "", exact=True),  # share of zero weights
        Metric("peak_memory", "B", _LOWER, _MEMORY, "reduction", exact=False),  # resident set of the worker
        Metric("heap_peak", "B", _LOWER, _MEMORY, "reduction", exact=False),  # allocations seen by memray
        Metric("cuda_peak", "B", _LOWER, _MEMORY, "reduction", exact=False),  # allocated by torch on the GPU
        Metric("energy_per_caption", "J", _LOWER, _ENERGY, "reduction", exact=False),  # above the idle power
        Metric("bleu_1", "", _HIGHER, _QUALITY, "retention", exact=False),
        Metric("bleu_2", "", _HIGHER, _QUALITY, "retention", exact=False),
        Metric("bleu_3", "", _HIGHER, _QUALITY, "retention", exact=False),
        Metric("bleu_4", "", _HIGHER, _QUALITY, "retention", exact=False),
        Metric("rouge_l", "", _HIGHER, _QUALITY, "retention", exact=False),
        Metric("cider", "", _HIGHER, _QUALITY, "retention", exact=False),  # 0 … 10
        Metric("length_drift", "", _LOWER, _QUALITY, "", exact=True),  # |mean words ÷ the reference model's − 1|
        Metric("empty_share", "", _LOWER, _QUALITY, "", exact=True),
        Metric("degenerate_share", "", _LOWER, _QUALITY, "", exact=True),
        Metric("agreement", "", _HIGHER, _QUALITY, "", exact=True),  # captions identical to the reference model's
    )
}
