"""The layers and habits of the package, read from its sources: what imports what, module heads, lengths, mirrored tests."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
# From top to bottom; a name is a module or a package folder under vlmgate/. Imports point down only.
ROWS = (
    ("__main__",),
    ("plugin", "cli", "api"),
    ("selftest",),  # the suite judged by itself: bank of blocks, noise, injections
    ("report",),
    ("running",),
    ("measure", "worker"),
    ("artefacts", "judge", "record", "suite"),
    ("backends",),  # runtimes other than torch
    ("models", "variants", "datasets", "metrics", "meters"),
    ("stats",),
    ("protocol",),  # what measure and worker say to each other
    ("spec",),
)
ROW = {name: depth for depth, names in enumerate(ROWS) for name in names}
LONGEST = 300  # lines of a module
FAMILY = re.compile("blip|llava|paligemma|qwen", re.IGNORECASE)
WITHOUT_TORCH = ("spec", "protocol", "suite", "record", "judge", "stats", "metrics", "meters", "report", "cli")
# Import name → distribution, where they differ; huggingface_hub is a fixed part of transformers, which reads hubs by it.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "_pytest": "pytest",
    "pynvml": "nvidia-ml-py",
    "huggingface_hub": "transformers",
}


def dotted(path: Path, root: Path) -> str:
    """``vlmgate/report/table.py`` → ``report.table``; the package root is the empty string."""
    parts = path.relative_to(root / "vlmgate").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(root: Path) -> dict[str, Path]:
    return {dotted(path, root): path for path in sorted((root / "vlmgate").rglob("*.py"))}


def imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Absolute dotted names that a module imports anywhere, also by ``import_module("…")``; ``package`` resolves dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (base, node.module)))
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield from [str(node.args[0].value)] if called in ("import_module", "__import__") else []


def at_import_time(tree: ast.Module, package: str) -> Iterator[str]:
    """Absolute names that are imported when the module is: outside functions and ``if TYPE_CHECKING``."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(ast.Module([node], []), package)
        waiting.extend(ast.iter_child_nodes(node))


def package_of(name: str, path: Path) -> str:
    """The package against which the module's relative imports count."""
    full = f"vlmgate.{name}".rstrip(".")
    return full if path.name == "__init__.py" else full.rpartition(".")[0]


def layer_problems(name: str, tree: ast.Module, package: str) -> Iterator[str]:
    """What a module imports although the layers forbid it."""
    own = name.split(".")[0]
    if own and own not in ROW:
        yield f"{name}: has no row; give it one in ROWS of tests/test_architecture.py, or put it into a folder that has"
        return
    lazy_root = not own  # the package root may reach anything, but only when asked
    names = at_import_time(tree, package) if lazy_root else imported(tree, package)
    for target in sorted({each.split(".")[1] for each in names if each.startswith("vlmgate.")}):
        if lazy_root and target in ROW and target != "spec":
            yield f"__init__: imports {target} at import time; do it inside a function (a module `__getattr__`)"
        elif not lazy_root and target in ROW and target != own and ROW[target] <= ROW[own]:
            yield f"{name}: imports {target}, which is not below {own}; imports point down only"


def head_problems(name: str, tree: ast.Module) -> Iterator[str]:
    """The first line of a module says what it does."""
    first = tree.body[0] if tree.body else None
    if first is None:
        return
    text = ast.get_docstring(tree, clean=False)
    if text is None or first.lineno != 1 or not text.split("\n")[0].strip():
        yield f"{name}: line 1 is not a docstring that says what the module does"


def literal_docstrings(tree: ast.Module) -> set[int]:
    holders = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    return {id(node.body[0].value) for node in holders if node.body and isinstance(node.body[0], ast.Expr)}


def family_problems(name: str, tree: ast.Module) -> Iterator[str]:
    """Variants know parts, never families: no family in a string, a name or an import, no ``x.family == …``."""
    if name.split(".")[0] != "variants":
        return
    prose = literal_docstrings(tree)
    for node in ast.walk(tree):
        said = str(node.value) if isinstance(node, ast.Constant) and id(node) not in prose else ""
        said = getattr(node, "attr", "") or getattr(node, "id", "") or (node.name if isinstance(node, ast.alias) else said)
        if FAMILY.search(said):
            yield f"{name}: names the model family {said!r} in line {getattr(node, 'lineno', '?')}; variants know parts only"
        if isinstance(node, ast.Compare) and {"family", "model_type"} & {
            getattr(side, "attr", getattr(side, "id", "")) for side in (node.left, *node.comparators)
        }:
            yield f"{name}: compares the model family in line {node.lineno}; variants know parts only"


def dependency_problems(name: str, tree: ast.Module, package: str, core: set[str], extras: set[str]) -> Iterator[str]:
    """A third-party import is a core dependency, or sits in a function and is in an extra."""

    def distributions(names: Iterator[str]) -> set[str]:
        tops = {each.split(".")[0] for each in names} - set(sys.stdlib_module_names) - {"vlmgate"}
        return {canonicalize_name(DISTRIBUTIONS.get(top, top)) for top in tops}

    early = distributions(at_import_time(tree, package))
    for missing in sorted(early - core):
        yield f"{name}: imports {missing} at import time, which is no core dependency of pyproject.toml"
    for missing in sorted(distributions(imported(tree, package)) - early - core - extras):
        yield f"{name}: imports {missing}, which pyproject.toml declares nowhere for users"


def mirror_problems(name: str, tree: ast.Module, root: Path) -> Iterator[str]:
    """Every module that says something has a test file of its name."""
    if not tree.body or name.split(".")[-1] in ("", "__main__"):
        return
    test = f"tests/test_{name.replace('.', '_')}.py"
    if not (root / test).exists():
        yield f"{name}: has no {test}"


def problems(root: Path, core: set[str], extras: set[str]) -> list[str]:
    """Every rule that the package under ``root``/vlmgate breaks, one sentence each."""
    found: list[str] = []
    for name, path in modules(root).items():
        text = path.read_text(encoding="utf-8")
        tree, package = ast.parse(text, str(path)), package_of(name, path)
        found += layer_problems(name, tree, package)
        found += head_problems(name or "__init__", tree)
        found += family_problems(name, tree)
        found += dependency_problems(name or "__init__", tree, package, core, extras)
        found += mirror_problems(name, tree, root)
        if (lines := len(text.splitlines())) > LONGEST:
            found.append(f"{name}: has {lines} lines, the limit is {LONGEST}")
    return found


def declared() -> tuple[set[str], set[str]]:
    """Core dependencies and those of the extras for users."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for name, lines in project["optional-dependencies"].items() if name != "test" for line in lines]
    core, optional = (
        {str(canonicalize_name(Requirement(line).name)) for line in lines} for lines in (project["dependencies"], extras)
    )
    return core, optional


def test_the_package_keeps_its_rules() -> None:
    found = problems(ROOT, *declared())
    assert not found, "\n".join(found)


def test_judging_and_reporting_import_without_torch() -> None:
    names = [f"vlmgate.{name}".rstrip(".") for name in modules(ROOT) if name.split(".")[0] in WITHOUT_TORCH or not name]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'torch', 'transformers'} & set(sys.modules)\n"
        "    assert not heavy, f'{name} imports {heavy}'\n"
        "print(len(sys.argv) - 1)\n"
    )
    command = [sys.executable, "-c", program, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == len(names) > 1


HEAD = '"""A module."""\n'
GOOD = {
    "vlmgate/__init__.py": HEAD + "def __getattr__(name: str) -> object:\n    from vlmgate import running\n    return running\n",
    "vlmgate/spec.py": HEAD,
    "vlmgate/protocol.py": HEAD + "from vlmgate.spec import Case\n",
    "vlmgate/measure.py": HEAD + "from vlmgate import protocol, suite\n",
    "vlmgate/worker.py": HEAD + "from vlmgate.protocol import read\n",
    "vlmgate/suite.py": HEAD + "import yaml\nfrom vlmgate.models import MODELS\n",
    "vlmgate/running.py": HEAD + "from .measure import block\n",
    "vlmgate/models/__init__.py": HEAD + "from vlmgate.models.folder import read\n",
    "vlmgate/models/folder.py": HEAD + "from . import other\ndef f() -> None:\n    import pynvml\n",
    "vlmgate/models/other.py": HEAD + "FAMILY = 'blip'\n",
    "vlmgate/variants/__init__.py": "",
    "vlmgate/variants/cast.py": '"""Casts (BLIP: half the bytes)."""\nfrom vlmgate import stats\n',
    "vlmgate/stats.py": HEAD + "import numpy as np\nfrom vlmgate.spec import Estimate\n",
}
# What breaks each rule: file → its text, and a part of the sentence that must come
BAD: Mapping[str, tuple[str, str, str]] = {
    "upwards": ("vlmgate/stats.py", HEAD + "from vlmgate.judge import verdict\n", "stats: imports judge"),
    "upwards from the package": ("vlmgate/stats.py", HEAD + "from vlmgate import suite\n", "stats: imports suite"),
    "upwards in a function": ("vlmgate/suite.py", HEAD + "def f():\n    import vlmgate.running\n", "suite: imports running"),
    "upwards, relative": ("vlmgate/models/other.py", HEAD + "from ..suite import load\n", "models.other: imports suite"),
    "upwards, relative, package": ("vlmgate/models/__init__.py", HEAD + "from .. import running\n", "models: imports running"),
    "upwards by string": ("vlmgate/stats.py", HEAD + "import_module('vlmgate.cli')\n", "stats: imports cli"),
    "one row": ("vlmgate/variants/cast.py", HEAD + "import vlmgate.models.folder\n", "variants.cast: imports models"),
    "measure and worker": ("vlmgate/worker.py", HEAD + "from vlmgate.measure import block\n", "worker: imports measure"),
    "spec and protocol": ("vlmgate/spec.py", HEAD + "from vlmgate import protocol\n", "spec: imports protocol"),
    "no row": ("vlmgate/misc.py", HEAD, "misc: has no row"),
    "eager root": ("vlmgate/__init__.py", HEAD + "from vlmgate import running\n", "__init__: imports running at import time"),
    "no head": ("vlmgate/spec.py", "import re\n", "spec: line 1 is not a docstring"),
    "late head": ("vlmgate/spec.py", "# note\n" + HEAD, "spec: line 1 is not a docstring"),
    "empty first line": ("vlmgate/spec.py", '"""\nA module."""\n', "spec: line 1 is not a docstring"),
    "too long": ("vlmgate/spec.py", HEAD + "x = 1\n" * 300, "spec: has 301 lines"),
    "family in a string": ("vlmgate/variants/cast.py", HEAD + "x = 'blip-base'\n", "names the model family 'blip-base'"),
    "family in a name": ("vlmgate/variants/cast.py", HEAD + "x = t.BlipModel\n", "names the model family 'BlipModel'"),
    "family import": ("vlmgate/variants/cast.py", HEAD + "from torch import QwenX\n", "names the model family 'QwenX'"),
    "family compared": ("vlmgate/variants/cast.py", HEAD + "y = m.family == other\n", "variants.cast: compares the model family"),
    "undeclared": ("vlmgate/spec.py", HEAD + "def f():\n    import pandas\n", "spec: imports pandas, which pyproject"),
    "extra at import time": ("vlmgate/spec.py", HEAD + "import pynvml\n", "spec: imports nvidia-ml-py at import time"),
}


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    tests = {f"tests/test_{dotted(root / name, root).replace('.', '_')}.py": "" for name in files}
    for name, text in (dict(files) | tests).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


MADE_UP = ({"pyyaml", "numpy", "torch"}, {"nvidia-ml-py"})


def test_a_good_tree_has_no_problem(tmp_path: Path) -> None:
    assert problems(write_tree(tmp_path, GOOD), *MADE_UP) == []


@pytest.mark.parametrize("rule", BAD)
def test_a_broken_rule_is_seen_and_nothing_else(rule: str, tmp_path: Path) -> None:
    name, text, sentence = BAD[rule]
    found = problems(write_tree(tmp_path, GOOD | {name: text}), *MADE_UP)
    assert len(found) == 1, found
    assert sentence in found[0]


def test_a_missing_test_file_is_seen(tmp_path: Path) -> None:
    write_tree(tmp_path, GOOD)
    (tmp_path / "tests" / "test_models_folder.py").unlink()
    assert problems(tmp_path, *MADE_UP) == ["models.folder: has no tests/test_models_folder.py"]
