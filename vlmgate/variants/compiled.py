"""torch.compile of the model's parts, as a control: what compilation buys without any compression.

The artefact is the unmodified model; compilation happens in each process, in the first calls, and is reported apart
(``compile_seconds``: the first call of a fresh process without a compiler cache, less a later one).
"""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from vlmgate.spec import VlmgateError
from vlmgate.spec.names import unknown

COMPILES = True  # the first call of the loaded artefact is timed apart
COMPILERS = ("g++", "clang++", "c++")
RECOMPILATIONS = 64  # of one function; torch's own limit is 8


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string: the inductor backend writes C++ and needs a compiler."""
    if parameters.get("backend") != "inductor" or any(shutil.which(name) for name in COMPILERS):
        return ""
    return f"torch.compile needs a C++ compiler ({', '.join(COMPILERS)}), and none is installed: apt install g++"


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Change no weight; the modules are compiled when the artefact is loaded.

    Raises:
        VlmgateError: torch knows no such ``backend``.
    """
    known = torch.compiler.list_backends(exclude_tags=())
    if parameters["backend"] not in known:
        raise VlmgateError(f"compiled: {unknown('backend', parameters['backend'], known)}")


def attach(captioner: Any, parameters: Mapping[str, Any]) -> None:
    """Compile every direct child of the model in place: vision part and text part, whatever they are called.

    Several compiled models of a worker share their code, and with it torch's limit of recompilations, past which it goes on in
    eager mode without a word: the limit is raised, and hitting it is an error.
    """
    torch._dynamo.config.recompile_limit = RECOMPILATIONS
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    for child in captioner.model.children():
        child.compile(backend=parameters["backend"], dynamic=parameters["dynamic"])
