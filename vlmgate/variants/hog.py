"""Take memory while the model runs and give it back, for self-checks: the gate on peak memory must see it."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from vlmgate.spec import VlmgateError


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Change no weight; the hog is attached when the artefact is loaded.

    Raises:
        VlmgateError: ``bytes`` is not above zero.
    """
    if int(parameters["bytes"]) <= 0:
        raise VlmgateError(f"hog: bytes is {parameters['bytes']}; expected a number of bytes above zero, such as 200000000")


def attach(captioner: Any, parameters: Mapping[str, Any]) -> None:
    """Make every ``tokens`` call of the captioner hold ``bytes`` more, every page of them written."""
    plain, size = captioner.tokens, int(parameters["bytes"])

    def hungry(*args: Any, **kwargs: Any) -> Any:
        ballast = b"x" * size
        result = plain(*args, **kwargs)
        del ballast
        return result

    captioner.tokens = hungry
