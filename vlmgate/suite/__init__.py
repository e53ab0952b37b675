"""Reads suite.yaml: the cases of every tier, and the thresholds that they must keep."""

import hashlib
import importlib.util
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fnmatch import fnmatchcase
from itertools import product
from os.path import isdir
from pathlib import Path
from types import ModuleType
from typing import Any

from vlmgate.spec import (
    Against,
    Better,
    Case,
    Metric,
    Model,
    Outcome,
    Question,
    Settings,
    Threshold,
    Variant,
    VlmgateError,
    Waiver,
)
from vlmgate.spec.names import suggested, unknown
from vlmgate.suite.document import File, Keys, Raw
from vlmgate.variants.artefact import RECIPE as ARTEFACT
from vlmgate.variants.artefact import named

Names = dict[str, dict[str, Any]]  # registry → name → thing
Listed = Collection[tuple[Case, bool]]  # cases of all tiers, each with: is it a reference there?
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
REGISTRIES: Mapping[str, type] = {"MODELS": Model, "VARIANTS": Variant, "DATASETS": object, "METRICS": Metric}


@dataclass(frozen=True)
class Tier:
    """Cases that run together."""

    name: str
    about: str
    cases: tuple[Case, ...]

    @property
    def questions(self) -> dict[str, tuple[Question, ...]]:
        """Case id → what is asked of it."""
        return {case.id: case.questions for case in self.cases}


@dataclass(frozen=True)
class Suite:
    """What suite.yaml says. Registries hold the built-in things and those of the plugins (``datasets``: only the latter)."""

    path: Path
    sha256: str  # of the bytes of the file
    tiers: Mapping[str, Tier]
    thresholds: tuple[Threshold, ...]
    waivers: tuple[Waiver, ...]
    metrics: Mapping[str, Metric]
    models: Mapping[str, Model] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)  # with the parameters set in the file
    datasets: Mapping[str, Any] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()  # as `load_plugin` takes them

    def tier(self, name: str) -> Tier:
        """The tier of that name; VlmgateError with the known ones if there is none."""
        if name not in self.tiers:
            raise VlmgateError(f"{self.path}: {unknown('tier', name, self.tiers)}")
        return self.tiers[name]

    def thresholds_for(self, case_id: str) -> tuple[Threshold, ...]:
        """What must hold for a case; of entries with the same metric and ``against`` the last one counts."""
        return tuple({(t.metric, t.against): t for t in self.thresholds if fnmatchcase(case_id, t.cases)}.values())


def load_suite(
    path: Path,
    models: Mapping[str, Model],
    variants: Mapping[str, Variant],
    datasets: Collection[str],
    metrics: Mapping[str, Metric],
) -> Suite:
    """Read, check and resolve a suite.yaml; whatever is wrong is a VlmgateError that names file, line and key."""
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise VlmgateError(f"{path}: cannot be read ({error.strerror}), expected a suite file such as suite.yaml") from error
    file = File(path)
    raw = file.parse(payload)
    names: Names = dict(zip(REGISTRIES, map(dict, (models, variants, dict.fromkeys(datasets), metrics)), strict=True))
    plugins = tuple(_add_plugin(file, ("plugins", i), name, names) for i, name in enumerate(raw.get("plugins", ())))
    for variant, steps in raw.get("variants", {}).items():
        change = _artefact if ARTEFACT in steps else _override
        names["VARIANTS"][variant] = change(file, ("variants", variant), steps, names["VARIANTS"])
    tiers = {name: _tier(file, ("tiers", name), tier, raw.get("settings", {}), names) for name, tier in raw["tiers"].items()}
    cases = [(case, reference_of(case, tier.cases) is case) for tier in tiers.values() for case in tier.cases]
    thresholds = tuple(_threshold(file, ("thresholds", i), t, cases, names) for i, t in enumerate(raw.get("thresholds", ())))
    waivers = tuple(_waiver(file, ("waivers", i), w, cases, names) for i, w in enumerate(raw.get("waivers", ())))
    added = {name: thing for name, thing in names["DATASETS"].items() if name not in datasets}
    sha256 = hashlib.sha256(payload).hexdigest()
    return Suite(path, sha256, tiers, thresholds, waivers, names["METRICS"], names["MODELS"], names["VARIANTS"], added, plugins)


def reference_of(case: Case, cases: Iterable[Case]) -> Case | None:
    """The unmodified model that a case is compared with (a reference: itself); None if it is not among ``cases``.

    It is the first one listed, of the same model and dataset, without steps and either float32 or not on the CPU:
    bfloat16 on a CPU is a compression, float16 is how a model for CUDA ships."""
    same = (c for c in cases if (c.model.name, c.dataset) == (case.model.name, case.dataset) and not c.variant.steps)
    return next((c for c in same if c.variant.dtype == "float32" or c.variant.device != "cpu"), None)


def load_plugin(name: str) -> ModuleType:
    """Import a plugin, once a process: the absolute path of a Python file or a dotted module name."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    unique = f"vlmgate_plugin_{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    if unique not in sys.modules:
        spec = importlib.util.spec_from_file_location(unique, name)
        assert spec and spec.loader  # both are there for every name that ends in .py
        sys.modules[unique] = importlib.util.module_from_spec(spec)  # before it runs: dataclasses look their module up
        try:
            spec.loader.exec_module(sys.modules[unique])
        except BaseException:
            del sys.modules[unique]
            raise
    return sys.modules[unique]


def _add_plugin(file: File, keys: Keys, name: str, names: Names) -> str:
    """Put what a plugin registers among the names; returns what `load_plugin` takes."""
    target = str((file.path.parent / name).resolve()) if name.endswith(".py") else name
    try:
        module = load_plugin(target)
        tables = {table: dict(getattr(module, table)) for table in REGISTRIES if hasattr(module, table)}
    except (Exception, SystemExit) as error:  # it is the user's code: anything can come out of it
        raise file.error(keys, f"plugin '{name}' cannot be loaded, mend it ({type(error).__name__}: {error})") from error
    if not tables:
        raise file.error(keys, f"plugin '{name}' registers nothing, expected one of the dicts {', '.join(REGISTRIES)}")
    for table, key, thing in ((table, key, thing) for table, things in tables.items() for key, thing in things.items()):
        entry, kind = f"plugin '{name}': {table}[{key!r}]", REGISTRIES[table]
        plain = re.fullmatch(NAME, str(key))  # ids are made of names, "/" and ":"
        if not plain or not isinstance(thing, kind) or getattr(thing, "name", key) != key:
            raise file.error(keys, f"{entry} must be a {kind.__name__} of that name, of letters, digits, '.', '_' and '-'")
        if key in names[table]:
            raise file.error(keys, f"{entry} is already registered, give it another name")
        names[table][key] = thing
    return target


def _artefact(file: File, keys: Keys, raw: Mapping[str, Raw], variants: Mapping[str, Variant]) -> Variant:
    """The variant that is an artefact in a folder relative to the file; it may be missing, which is for a run to say."""
    name, written = str(keys[-1]), str(raw[ARTEFACT])
    if len(raw) > 1:
        other = next(key for key in raw if key != ARTEFACT)
        raise file.error((*keys, other), "an artefact is measured as it is, so nothing stands beside its folder; remove it")
    if name in variants or not re.fullmatch(NAME, name):
        raise file.error(keys, f"'{name}' must be a new name of letters, digits, '.', '_' and '-'; give the artefact another one")
    return named(name, (file.path.parent / written).resolve(), written)


def _override(file: File, keys: Keys, overrides: Mapping[str, Raw], variants: Mapping[str, Variant]) -> Variant:
    """The variant with other parameters, in every step of the recipes named."""
    variant: Variant = file.known(keys, "variant", str(keys[-1]), variants)
    recipes = {step.recipe: step.parameters for step in variant.steps}
    for recipe, parameters in overrides.items():
        known = file.known((*keys, recipe), "step", recipe, recipes)
        for name, value in parameters.items():
            default = file.known((*keys, recipe, name), "parameter", name, known)
            parameters[name] = value = tuple(value) if isinstance(value, list) else value  # as registered: never changed later
            numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (default, value))
            if default is not None and not numbers and type(value) is not type(default):
                raise file.error((*keys, recipe, name), f"expected a value like {default!r}, got {value!r}")
    steps = (replace(step, parameters={**step.parameters, **overrides.get(step.recipe, {})}) for step in variant.steps)
    return replace(variant, steps=tuple(steps))


def _tier(file: File, keys: Keys, tier: Raw, defaults: Raw, names: Names) -> Tier:
    """The cases of a tier: every id once, each with a reference that is run in the same way."""
    cases: dict[str, Case] = {}
    places: dict[str, Keys] = {}
    for i, entry in enumerate(tier["cases"]):
        place = (*keys, "cases", i)
        for case in _cases(file, place, entry, {**defaults, **tier.get("settings", {})}, names):
            if case.id in cases:
                line = file.places[places[case.id]][0]
                raise file.error(place, f"case {case.id} is already in the entry at line {line}, list it once in a tier")
            cases[case.id], places[case.id] = case, place
    for case in cases.values():
        reference = reference_of(case, cases.values())
        if reference is None:
            where = (*places[case.id], "variants")
            raise file.error(where, f"{case.id} has no reference, add a variant without steps, such as fp32, to the list")
        if case.settings != reference.settings or not set(case.questions) <= set(reference.questions):
            raise file.error(places[case.id], f"{case.id} needs the settings and questions of its reference, make them equal")
    return Tier(str(keys[-1]), tier.get("about", ""), tuple(cases.values()))


def _cases(file: File, keys: Keys, entry: Raw, defaults: Raw, names: Names) -> Iterator[Case]:
    """models × datasets × variants of one entry, in the order of the file."""
    models, variants = (
        [file.known((*keys, kind, i), kind[:-1], name, names[kind.upper()]) for i, name in enumerate(entry[kind])]
        for kind in ("models", "variants")
    )
    for i, name in enumerate(entry["datasets"]):
        _check_dataset(file, (*keys, "datasets", i), name, names["DATASETS"])
    merged: Raw = {**defaults, **entry.get("settings", {})}
    settings = Settings(**{key: _number(key, value) for key, value in merged.items()})
    if settings.top_k and settings.beams > 1:
        raise file.error(keys, f"beams: {settings.beams} and top_k: {settings.top_k} exclude each other, set one of them")
    if not settings.top_k and (settings.temperature, settings.seed) != (1.0, 0):
        raise file.error(keys, "temperature and seed are those of sampling, set top_k too or leave them out")
    questions = tuple(map(Question, entry.get("questions", Question)))
    for model, dataset, variant in product(models, entry["datasets"], variants):
        yield Case(model, variant, dataset, settings, questions)


def _number(key: str, value: Any) -> Any:
    """Settings are whole numbers (8.0 is one too) or tuples of them, apart from the temperature, the affinity and the
    environment; null is a setting that is left open."""
    if isinstance(value, list):
        return tuple(map(int, value))
    if isinstance(value, dict):
        return {name: str(text) for name, text in value.items()}
    return value if value is None or isinstance(value, str) else float(value) if key == "temperature" else int(value)


def _check_dataset(file: File, keys: Keys, name: str, datasets: Collection[str]) -> None:
    """A dataset is a name, ``name:N`` with N images, or a folder relative to the file."""
    base, colon, count = name.partition(":")
    if base in datasets:
        if colon and not re.fullmatch("[1-9][0-9]{0,6}", count):
            raise file.error(keys, f"expected {base}:N with a whole number N from 1 to 9999999, got '{name}'")
    elif not isdir(file.path.parent / name):  # noqa: PTH112 - a Path would raise for a name that is too long
        raise file.error(keys, f"{unknown('dataset', name, datasets)}; no folder {file.path.parent / name} is there either")


def _metric(file: File, keys: Keys, entry: Raw, cases: Listed, names: Names) -> Metric:
    """The metric of a threshold or waiver. A pattern that finds no case which can be judged is a mistake, not a promise kept."""
    metric: Metric = file.known((*keys, "metric"), "metric", entry["metric"], names["METRICS"])
    place, pattern = (*keys, "cases"), entry["cases"]
    matching = [(case, is_reference) for case, is_reference in cases if fnmatchcase(case.id, pattern)]
    if not matching:
        ids = suggested(pattern, {case.id for case, _ in cases}, "the tiers of this file")
        raise file.error(place, f"pattern '{pattern}' matches no case of any tier; {ids}")
    if not any(metric.question in case.questions for case, _ in matching):
        raise file.error(place, f"no case that '{pattern}' matches asks for {metric.question}, which {metric.name} needs")
    if entry.get("against") == Against.REFERENCE and all(is_reference for _, is_reference in matching):
        raise file.error(place, f"'{pattern}' matches references only, which are not compared with themselves")
    if entry.get("against") == Against.REFERENCE and not metric.quantity:
        raise file.error((*keys, "against"), f"{metric.name} is not compared with the reference, use baseline or limit")
    return metric


def _threshold(file: File, keys: Keys, entry: Raw, cases: Listed, names: Names) -> Threshold:
    against, metric = Against(entry["against"]), _metric(file, keys, entry, cases, names)
    limit = "at_least" if metric.better == Better.HIGHER else "at_most"
    wanted = {Against.REFERENCE: "floor", Against.BASELINE: "tolerance", Against.LIMIT: limit}[against]
    given = [key for key in ("floor", "tolerance", "at_least", "at_most") if key in entry]
    if given != [wanted]:
        place = (*keys, *[key for key in given if key != wanted][:1])
        what = f"{metric.name} ({metric.better} is better) against {against}"
        raise file.error(place, f"{what} takes the key '{wanted}' and no other line, got {' and '.join(given) or 'none'}")
    line = _of_share(value := entry[wanted])
    if wanted == "tolerance" and not 0 <= line < 1:
        raise file.error((*keys, wanted), f"expected a share from 0 to below 1, such as 0.03 or 3%, got `{value}`")
    return Threshold(entry["cases"], metric.name, against, line, entry["reason"], _catch(file, keys, entry, metric, line))


def _of_share(value: str | float) -> float:
    """3% and 0.03 are the same."""
    return float(value.rstrip(" %")) / 100 if isinstance(value, str) else float(value)


def _catch(file: File, keys: Keys, entry: Raw, metric: Metric, line: float) -> float | None:
    """The change that a tolerance on speed is meant to catch; None where the file does not say."""
    if "catch" not in entry:
        return None
    place, found = (*keys, "catch"), _of_share(entry["catch"])
    if entry["against"] != Against.BASELINE or metric.question is not Question.LATENCY:
        raise file.error(place, "belongs to a tolerance of time_per_caption, whose margin grows with the noise; leave it out")
    if not line < found < 1:
        raise file.error(place, f"expected a share above the tolerance of {line:.3g} and below 1, got `{entry['catch']}`")
    return found


def _waiver(file: File, keys: Keys, entry: Raw, cases: Listed, names: Names) -> Waiver:
    metric = _metric(file, keys, entry, cases, names)
    try:
        until = date.fromisoformat(str(entry["until"]))
    except ValueError as error:
        raise file.error((*keys, "until"), f"expected a date such as 2027-01-31, got `{entry['until']}`") from error
    against = Against(entry["against"]) if "against" in entry else None
    return Waiver(entry["cases"], metric.name, Outcome(entry["expected"]), until, entry["reason"], against)
