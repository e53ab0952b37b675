"""The Python API leaves out what torchao says without need, and everything else that it has to say comes through."""

import logging
import subprocess
import sys

import pytest
import torch
from jobs import ROOT

from vlmgate.variants.torchao_log import without_torchaos_notices

CUTLASS = "Failed to load /env/site-packages/torchao/_C_cutlass_90a.abi3.so: undefined symbol"
MXFP8 = "Failed to load /my env/torchao/_C_mxfp8.cpython-310-x86_64-linux-gnu.so: undefined symbol"
ENUM = "<enum 'KernelPreference'> is an Enum subclass and is now natively supported by torch.compile"


def complaints(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=300)
    return done.stderr


def test_importing_torchao_says_it_and_loading_an_artefact_does_not() -> None:
    pytest.importorskip("torchao", reason="needs torchao: pip install 'vlmgate[torchao]'")
    if "Failed to load" not in complaints("import torchao"):
        pytest.skip("this torchao loads its kernels for GPUs here")
    folder = ROOT / "fixtures" / "models" / "scene-blip-int4-qat"
    code = f"import sys, vlmgate; vlmgate.load({str(folder)!r}); print('torchao' in sys.modules, file=sys.stderr)"
    assert complaints(code).splitlines() == ["True"]


def test_only_those_notices_are_left_out_and_only_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    torchao, pytree = logging.getLogger("torchao"), logging.getLogger("torch.utils._pytree")
    said: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    for logger in (torchao, pytree):
        monkeypatch.setattr(logger, "handlers", [handler])
        monkeypatch.setattr(logger, "propagate", False)
    others = [
        "Failed to load /env/torchao/_C.abi3.so: undefined symbol",
        "Skipping import of cpp extensions due to incompatible torch version.",
        f"A sentence that quotes: {CUTLASS}",
    ]
    mine = ENUM.replace("KernelPreference", "Mine")
    monkeypatch.setattr(torch.version, "cuda", None)
    with without_torchaos_notices():
        for words in (CUTLASS, MXFP8, *others):
            torchao.warning(words)
        for words in (ENUM, mine):
            pytree.warning(words)
    torchao.warning(CUTLASS)
    pytree.warning(ENUM)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with without_torchaos_notices():  # where torch has CUDA it is news
        torchao.warning(MXFP8)
    assert said == [*others, mine, CUTLASS, ENUM, MXFP8]
