"""What a worker imports before it measures, and what it leaves out."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jobs import ROOT

from vlmgate.variants.artefact import CARD
from vlmgate.worker.imports import hidden

AFTER = """
import gc, json, sys
from vlmgate.worker.imports import import_libraries
gc.collect()
import_libraries({"arms": [{"folder": FOLDER}]})
from importlib.util import find_spec
from transformers.utils import is_accelerate_available, is_scipy_available, is_torchao_available
print(json.dumps({
    "imported": [name for name in ("torch", "vlmgate.artefacts.load", "scipy", "jsonschema", "torchao") if name in sys.modules],
    "collector": [gc.isenabled(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 50_000],
    "transformers": [is_scipy_available(), is_torchao_available(), is_accelerate_available()],
    "there": [find_spec(name) is not None for name in ("scipy", "torchao", "accelerate")],
}))
"""


def after_importing(folder: Path) -> dict[str, list[Any]]:
    code = AFTER.replace("FOLDER", repr(str(folder)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=300)
    found: dict[str, list[Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_worker_imports_what_captions_and_nothing_that_only_others_need(tmp_path: Path) -> None:
    (tmp_path / CARD).write_text("{}")
    found = after_importing(tmp_path)
    assert found["imported"] == ["torch", "vlmgate.artefacts.load"] and found["transformers"] == [False, False, False]
    assert found["collector"] == [True, True, True], "it is on again and passes over what was imported"
    assert found["there"] == [importlib.util.find_spec(name) is not None for name in ("scipy", "torchao", "accelerate")]


def test_a_folder_of_transformers_own_may_need_what_it_was_packed_with(tmp_path: Path) -> None:
    found = after_importing(tmp_path)  # no card of ours
    assert found["transformers"] == [False, *found["there"][1:]]


def test_a_hidden_library_looks_absent_and_comes_back() -> None:
    name = "this"  # of Python, which nobody imports
    assert importlib.util.find_spec(name) and name not in sys.modules
    with hidden(name):
        assert importlib.util.find_spec(name) is None
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
    assert importlib.util.find_spec(name) and name not in sys.modules


def test_a_library_that_is_imported_already_stays() -> None:
    with hidden("json"):
        assert importlib.import_module("json").dumps(1) == "1"
    assert "json" in sys.modules
