"""What the package for runs offers."""

import subprocess
import sys

import vlmgate.running


def test_its_names_are_there() -> None:
    assert all(hasattr(vlmgate.running, name) for name in vlmgate.running.__all__)
    assert {"Session", "Options", "cache_folder", "most_threads"} == set(vlmgate.running.__all__)


def test_the_parent_of_the_workers_never_imports_torch() -> None:
    code = "import sys, vlmgate.running; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
