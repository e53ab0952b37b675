"""What a worker imports before it measures, and what it leaves out."""

import importlib.util
import subprocess
import sys

import pytest
from jobs import ROOT

from vlmgate.worker.imports import hidden

AFTER = """
import gc, sys
from vlmgate.worker.imports import import_libraries
gc.collect()
import_libraries()
print("torch" in sys.modules, "vlmgate.artefacts.load" in sys.modules, "scipy" in sys.modules, "jsonschema" in sys.modules)
print(gc.isenabled(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 50_000)
import scipy.stats
"""


def test_a_worker_imports_what_captions_and_nothing_that_only_other_models_need() -> None:
    done = subprocess.run([sys.executable, "-c", AFTER], capture_output=True, text=True, check=True, cwd=ROOT, timeout=300)
    imported, collector = done.stdout.splitlines()[-2:]
    assert imported == "True True False False"
    assert collector == "True True True", "the collector is on again and passes over what was imported"


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
