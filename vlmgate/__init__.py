"""vlmgate: gates for compressed vision-language models. `load`, `prepare` and `run` are what Python programs use."""

from typing import Any

__all__ = ["load", "prepare", "run"]


def __getattr__(name: str) -> Any:
    """The functions of `vlmgate.api`, imported when asked for: importing vlmgate alone loads no library."""
    if name not in __all__:
        raise AttributeError(f"module 'vlmgate' has no attribute {name!r}")
    from vlmgate import api

    return getattr(api, name)
