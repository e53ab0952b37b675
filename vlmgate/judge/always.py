"""Gates that need no threshold: what no artefact may do, whatever its recipe."""

import math
from dataclasses import replace

from vlmgate.judge.sentences import failure_sentence
from vlmgate.spec import Against, CaseRecord, Outcome, Question, Verdict

SIZE_ERROR = 0.01  # share by which the tensors of an artefact may differ from their closed form


PROMISED = {  # what must not be zero where it is there → (line, what is said, reason)
    "low_precision_kernels": (
        0.0,
        "its recipe promises INT8 kernels, and of the products of a profiled call none ran in INT8; look whether the modules "
        "were replaced, and whether this machine has the kernels",
        "a compressed model that computes in full precision is slower than it could be, and nobody sees it",
    ),
    "bf16_kernels": (
        0.0,
        "its recipe promises bfloat16, and of the float nodes that a call executed none ran in it; look whether this machine has "
        "bfloat16 instructions, and whether ONEDNN_MAX_CPU_ISA hides them",
        "float32 under the name of bfloat16 is slower than it could be, and nobody sees it",
    ),
    "compiled_graphs": (
        1.0,
        "torch.compile made no graph of the model; look whether TORCHDYNAMO_DISABLE or a stance switches it off",
        "an eager model under the name of a compiled one says nothing about compiling",
    ),
}


def always(record: CaseRecord) -> list[Verdict]:
    """An artefact must give back what was saved, compute and weigh as its recipe promises; a crash is a fail in every
    question."""
    size = Verdict(record.id, "reloads", Question.SIZE, Against.LIMIT, Outcome.FAIL, "", line=1.0)
    found = [
        replace(size, metric="worker", question=question, sentence=failure_sentence(record, record.failure))
        for question in record.questions
        if record.failure
    ]
    if Question.SIZE not in record.questions:
        return found
    if record.exact.get("reloads", 1.0) != 1.0:
        seen = "the saved artefact gives other tokens than the model it came from"
        words = f"{record.id}: {seen}; do not ship it, and report the recipe"
        found.append(replace(size, sentence=words, reason="what is measured must be what is shipped"))
    for metric, (line, words, why) in PROMISED.items():
        if not record.exact.get(metric, 1.0) > 0.0:
            found.append(replace(size, metric=metric, line=line, sentence=f"{record.id}: {words}", reason=why))
    return found + _weighs(record, replace(size, metric="expected_bytes", line=SIZE_ERROR))


def _weighs(record: CaseRecord, base: Verdict) -> list[Verdict]:
    """A fail where the bytes of all tensors differ from what the recipe leaves by closed form, where it has one."""
    expected, stored = record.exact.get("expected_bytes"), record.exact.get("weight_bytes")
    if not expected or stored is None or abs(stored - expected) <= SIZE_ERROR * expected < math.inf:
        return []
    off = f"its tensors take {stored / 1e6:.3f} MB, {stored / expected - 1:+.1%} off the {expected / 1e6:.3f} MB of its recipe"
    words = f"{record.id}: {off} (limit {SIZE_ERROR:.0%}); look for tensors that were forgotten or not compressed"
    return [replace(base, sentence=words, reason="bytes that the recipe does not explain are a mistake in the artefact")]
