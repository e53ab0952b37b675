"""suite.yaml: what it declares is what comes out, and every mistake in it is one sentence with file, line and key."""

import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from jobs import ROOT
from suite_samples import GOOD, TIER, changed

from vlmgate.cli.common import open_suite
from vlmgate.spec import (
    Against,
    Better,
    Case,
    Metric,
    Model,
    Outcome,
    Question,
    Settings,
    Source,
    Step,
    Threshold,
    Variant,
    VlmgateError,
    Waiver,
    setting_changes,
)
from vlmgate.suite import Suite, load_plugin, load_suite, reference_of

MODELS = {name: Model(name, "blip", Source.FIXTURE, "here", {}) for name in ("scene-blip", "blip-base")}
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("fp32"),
        Variant("bf16", dtype="bfloat16"),
        Variant("fp16-cuda", device="cuda", dtype="float16"),
        Variant("int8-dynamic", (Step("int8_dynamic", {"per_channel": False, "parts": ("vision", "text")}),)),
        Variant("pruned", (Step("l1", {"amount": 0.2, "scope": "text"}), Step("int8_dynamic"))),
    )
}
METRICS = {
    metric.name: metric
    for metric in (
        Metric("time_per_caption", "s", Better.LOWER, Question.LATENCY, "speed-up", False),
        Metric("cider", "", Better.HIGHER, Question.QUALITY, "retention", False),
        Metric("sparsity", "", Better.HIGHER, Question.SIZE, "", True),
    )
}


def load(folder: Path, text: str | bytes) -> Suite:
    path = folder / "suite.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_suite(path, MODELS, VARIANTS, ["scenes", "awkward"], METRICS)


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(VlmgateError) as caught:
        load(folder, text)
    return str(caught.value)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return load(tmp_path, GOOD)


def test_cases_are_models_times_datasets_times_variants_in_the_order_of_the_file(suite: Suite) -> None:
    assert list(suite.tiers) == ["smoke", "full"]
    assert [case.id for case in suite.tier("smoke").cases] == [
        "scene-blip/fp32/scenes",
        "scene-blip/int8-dynamic/scenes",
        "scene-blip/pruned/scenes",
        "blip-base/fp32/scenes:40",
        "blip-base/bf16/scenes:40",
    ]
    assert suite.tier("smoke").about == "the short one"
    assert suite.tier("full").about == ""


def test_settings_of_an_entry_go_before_those_of_its_tier_and_of_the_file(suite: Suite) -> None:
    scene, *_, base = suite.tier("smoke").cases
    assert scene.settings == Settings(threads=3, images=20, timed_images=4)
    assert base.settings == Settings(threads=3, images=20)
    full = suite.tier("full").cases[0].settings
    assert full == Settings(threads=3, images=50, batch=2, image_size=None)
    assert isinstance(full.batch, int)


def test_decoding_is_a_setting(tmp_path: Path) -> None:
    text = GOOD.replace("image_size: null, batch: 2.0", "top_k: 5, temperature: 0.7, seed: 3")
    settings = load(tmp_path, text).tier("full").cases[0].settings
    assert (settings.beams, settings.top_k, settings.temperature, settings.seed) == (1, 5, 0.7, 3)
    text = GOOD.replace("image_size: null, batch: 2.0", "beams: 4")
    assert load(tmp_path, text).tier("full").cases[0].settings.beams == 4


def test_an_environment_is_a_mapping_of_texts(tmp_path: Path) -> None:
    text = GOOD.replace("image_size: null", "environment: {MALLOC_ARENA_MAX: 1, GLIBC_TUNABLES: glibc.malloc.hugetlb=1}")
    settings = load(tmp_path, text).tier("full").cases[0].settings
    assert settings.environment == {"MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    assert setting_changes(replace(settings, environment={}), settings)[0].startswith("environment ({} then")
    assert setting_changes(replace(settings, affinity="pin"), settings) == ["affinity (pin then, inherit now)"]
    for wrong in ("OMP_NUM_THREADS: 4", "PYTHONPATH: here", "lower: 1", "A: [1]"):
        with pytest.raises(VlmgateError, match="environment"):
            load(tmp_path, text.replace("MALLOC_ARENA_MAX: 1", wrong))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("beams: 4, top_k: 5", "beams: 4 and top_k: 5 exclude each other, set one of them"),
        ("temperature: 0.7", "temperature and seed are those of sampling, set top_k too or leave them out"),
        ("seed: 1, beams: 2", "temperature and seed are those of sampling"),
        ("top_k: 5, temperature: 0", "temperature"),
    ],
)
def test_settings_that_make_no_decoding_are_refused(tmp_path: Path, settings: str, sentence: str) -> None:
    with pytest.raises(VlmgateError, match=sentence):
        load(tmp_path, GOOD.replace("image_size: null, batch: 2.0", settings))


def test_questions_are_all_four_unless_listed(suite: Suite) -> None:
    scene, *_, base = suite.tier("smoke").cases
    assert scene.questions == tuple(Question)
    assert base.questions == (Question.LATENCY, Question.SIZE)


def test_a_parameter_is_overridden_in_its_step_only_and_the_registry_stays_as_it_is(suite: Suite) -> None:
    pruned = suite.tier("smoke").cases[2].variant
    assert pruned.steps == (Step("l1", {"amount": 0.3, "scope": "text"}), Step("int8_dynamic"))
    assert suite.variants["pruned"] == pruned
    assert VARIANTS["pruned"].steps[0].parameters["amount"] == 0.2


def test_a_list_of_the_file_becomes_a_tuple_as_in_the_registry(tmp_path: Path) -> None:
    text = changed("  pruned: {l1: {amount: 0.3}}", "  int8-dynamic: {int8_dynamic: {parts: [vision], per_channel: true}}")
    assert load(tmp_path, text).variants["int8-dynamic"].steps[0].parameters == {"per_channel": True, "parts": ("vision",)}


def test_thresholds_and_waivers_are_typed(suite: Suite) -> None:
    assert suite.thresholds == (
        Threshold("scene-blip/int8-dynamic/*", "time_per_caption", Against.REFERENCE, 1.05, "faster or useless"),
        Threshold("*", "time_per_caption", Against.BASELINE, 0.03, "drift"),
        Threshold("*/fp32/*", "time_per_caption", Against.LIMIT, 2.0, "usable"),
        Threshold("*", "cider", Against.LIMIT, 4.5, "it captions"),
    )
    assert suite.waivers == (Waiver("blip-base/bf16/*", "time_per_caption", Outcome.FAIL, date(2027, 1, 31), "slow CPU"),)


def test_a_waiver_can_be_for_one_kind_of_line(tmp_path: Path) -> None:
    text = changed("metric: time_per_caption, expected: fail", "metric: time_per_caption, against: reference, expected: fail")
    assert load(tmp_path, text).waivers[0].against is Against.REFERENCE


@pytest.mark.parametrize(("written", "line"), [("3%", 0.03), ('"3 %"', 0.03), ("0.03", 0.03), ("0", 0.0), ("2.5%", 0.025)])
def test_a_tolerance_is_a_number_or_a_percentage(tmp_path: Path, written: str, line: float) -> None:
    assert load(tmp_path, changed("tolerance: 3%", f"tolerance: {written}")).thresholds[1].line == pytest.approx(line, abs=1e-15)


@pytest.mark.parametrize(("written", "catch"), [("10%", 0.1), ("0.08", 0.08)])
def test_the_change_that_a_tolerance_is_to_catch(tmp_path: Path, written: str, catch: float) -> None:
    assert load(tmp_path, changed("tolerance: 3%", f"tolerance: 3%, catch: {written}")).thresholds[1].catch == pytest.approx(
        catch
    )
    assert load(tmp_path, GOOD).thresholds[1].catch is None


def test_a_later_threshold_refines_an_earlier_one_of_the_same_metric_and_comparison(tmp_path: Path) -> None:
    text = GOOD.replace(
        "waivers:",
        '  - {cases: "*/pruned/*", metric: time_per_caption, against: baseline, tolerance: 5%, reason: noisy}\n'
        '  - {cases: "scene-blip/*", metric: time_per_caption, against: reference, floor: 0.9, reason: not slower}\nwaivers:',
    )
    suite = load(tmp_path, text)

    def lines(case_id: str) -> dict[tuple[str, Against], float]:
        return {(t.metric, t.against): t.line for t in suite.thresholds_for(case_id)}

    time = "time_per_caption"
    assert lines("scene-blip/pruned/scenes") == {
        (time, Against.BASELINE): 0.05,
        (time, Against.REFERENCE): 0.9,
        ("cider", Against.LIMIT): 4.5,
    }
    int8 = lines("scene-blip/int8-dynamic/scenes")
    assert int8[(time, Against.BASELINE)] == 0.03
    assert int8[(time, Against.REFERENCE)] == 0.9, "the later, more general entry replaces the earlier one"
    assert (time, Against.LIMIT) not in int8
    assert (time, Against.LIMIT) in lines("scene-blip/fp32/scenes")


def test_the_fingerprint_is_that_of_the_bytes(tmp_path: Path, suite: Suite) -> None:
    assert len(suite.sha256) == 64
    assert load(tmp_path, GOOD).sha256 == suite.sha256
    assert load(tmp_path, GOOD + "# a comment\n").sha256 != suite.sha256


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path, suite: Suite) -> None:
    assert load(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()).tiers == suite.tiers


def test_the_smallest_file(tmp_path: Path) -> None:
    text = "schema: 1\ntiers: {a: {cases: [{models: [scene-blip], variants: [fp32], datasets: [scenes]}]}}\n"
    suite = load(tmp_path, text)
    assert (suite.thresholds, suite.waivers, suite.plugins) == ((), (), ())
    assert suite.tier("a").cases[0].settings == Settings()


def test_a_folder_beside_the_file_is_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert load(tmp_path, changed('"scenes:40"', "photos")).tier("smoke").cases[-1].dataset == "photos"
    assert "unknown dataset 'pictures'" in refusal(tmp_path, changed('"scenes:40"', "pictures"))


def test_a_tier_may_hold_a_case_of_another_tier_with_other_settings(suite: Suite) -> None:
    smoke, full = suite.tier("smoke").cases[0], suite.tier("full").cases[0]
    assert smoke.id == full.id
    assert smoke.settings != full.settings


def test_an_unknown_tier_is_refused_with_the_known_ones(suite: Suite) -> None:
    with pytest.raises(VlmgateError, match=r"suite\.yaml: unknown tier 'smoek'; did you mean smoke\? Known: full, smoke"):
        suite.tier("smoek")


def case(variant: str, model: str = "scene-blip", dataset: str = "scenes") -> Case:
    return Case(MODELS[model], VARIANTS[variant], dataset, Settings(), tuple(Question))


def test_the_reference_is_the_first_unmodified_model_of_the_same_model_and_dataset() -> None:
    cases = [case("int8-dynamic"), case("bf16"), case("fp32"), case("fp16-cuda"), case("fp32", "blip-base")]
    assert reference_of(cases[0], cases) is cases[2], "bfloat16 on a CPU is no reference"
    assert reference_of(cases[2], cases) is cases[2]
    assert reference_of(cases[0], [cases[0], cases[4]]) is None
    assert reference_of(case("pruned", dataset="awkward"), cases) is None
    assert reference_of(cases[0], [cases[3], cases[0]]) is cases[3], "float16 on CUDA is the reference where it is all there is"


ENTRY = "      - {{models: [scene-blip], variants: {variants}, datasets: [scenes]{more}}}\n"


def tier(*entries: tuple[str, str]) -> str:
    return TIER + "".join(ENTRY.format(variants=variants, more=more) for variants, more in entries)


WRONG = {
    "model": (
        changed("[scene-blip]", "[scene-blop]"),
        11,
        ["models[0]", "'scene-blop'", "blip-base, scene-blip", "did you mean scene-blip?"],
    ),
    "variant": (changed("[fp32, bf16]", "[fp32, bf61]"), 16, ["variants[1]", "'bf61'", "pruned", "did you mean bf16?"]),
    "dataset": (changed("[scenes]", "[scene]"), 13, ["datasets[0]", "'scene'", "awkward, scenes", "did you mean scenes?"]),
    "line break": (changed("[scenes]", '["sce\\nnes"]'), 13, ["'sce nes'"]),
    "endless name": (changed("[scenes]", f"[{'x' * 5000}]"), 13, ["datasets[0]", "unknown dataset"]),
    "no images": (changed("scenes:40", "scenes:0"), 17, ["datasets[0]", "scenes:N", "'scenes:0'"]),
    "no number": (changed("scenes:40", "scenes:many"), 17, ["datasets[0]", "scenes:N", "'scenes:many'"]),
    "unknown with a number": (changed("scenes:40", "seens:40"), 17, ["unknown dataset 'seens:40'", "did you mean scenes?"]),
    "metric": (
        changed("metric: cider", "metric: cidre"),
        30,
        ["thresholds[3].metric", "'cidre'", "sparsity", "did you mean cider?"],
    ),
    "override of no variant": (changed("  pruned: {l1", "  prooned: {l1"), 5, ["variants.prooned", "did you mean pruned?"]),
    "override of no step": (changed("{l1: {am", "{l2: {am"), 5, ["variants.pruned.l2", "int8_dynamic, l1", "did you mean l1?"]),
    "override of no parameter": (
        changed("amount: 0.3", "amuont: 0.3"),
        5,
        ["variants.pruned.l1.amuont", "scope", "did you mean amount?"],
    ),
    "override of the reference": (changed("pruned: {l1", "fp32: {l1"), 5, ["unknown step 'l1'", "known: none"]),
    "override of another type": (changed("amount: 0.3", "amount: some"), 5, ["variants.pruned.l1.amount", "like 0.2", "'some'"]),
    "override by a boolean": (changed("amount: 0.3", "amount: true"), 5, ["variants.pruned.l1.amount", "like 0.2", "True"]),
    "override of a list by a text": (
        changed("  pruned: {l1: {amount: 0.3}}", "  int8-dynamic: {int8_dynamic: {parts: vision}}"),
        5,
        ["variants.int8-dynamic.int8_dynamic.parts", "like ('vision', 'text')", "'vision'"],
    ),
    "no reference": (tier(("[int8-dynamic, bf16]", "")), 5, ["no reference", "scene-blip/int8-dynamic/scenes", "fp32"]),
    "a case twice": (tier(("[fp32, pruned]", ""), ("[pruned]", "")), 6, ["cases[1]", "scene-blip/pruned/scenes", "line 5"]),
    "other settings": (tier(("[fp32]", ""), ("[pruned]", ", settings: {batch: 4}")), 6, ["cases[1]", "settings", "reference"]),
    "other questions": (tier(("[fp32]", ", questions: [size]"), ("[pruned]", "")), 6, ["cases[1]", "questions", "reference"]),
    "matches nothing": (
        changed("scene-blip/int8-d", "scene-blip/int4-d"),
        23,
        ["matches no case", "did you mean scene-blip/int8-dynamic/scenes?"],
    ),
    "matches the reference": (changed("scene-blip/int8-dynamic/*", "scene-blip/fp32/*"), 23, ["references only"]),
    "nobody asks": (
        changed('{cases: "*", metric: cider', '{cases: "blip-base/*", metric: cider'),
        30,
        ["asks for quality", "cider"],
    ),
    "no quantity": (changed("metric: time_per_caption", "metric: sparsity"), 25, ["sparsity", "baseline or limit"]),
    "no line": (changed("    floor: 1.05\n", ""), 23, ["thresholds[0]", "'floor'", "got none"]),
    "line of another comparison": (
        changed("floor: 1.05", "tolerance: 3%"),
        26,
        ["thresholds[0].tolerance", "'floor'", "reference"],
    ),
    "two lines": (changed("floor: 1.05", "floor: 1.05\n    at_most: 2"), 27, ["thresholds[0].at_most", "floor and at_most"]),
    "wrong direction": (changed("at_most: 2", "at_least: 2"), 29, ["lower is better", "'at_most'", "at_least"]),
    "wrong direction, higher": (changed("at_least: 4.5", "at_most: 4.5"), 30, ["higher is better", "'at_least'", "at_most"]),
    "tolerance of 300 %": (changed("tolerance: 3%", "tolerance: 3"), 28, ["thresholds[1].tolerance", "`3`", "3%"]),
    "negative tolerance": (changed("tolerance: 3%", "tolerance: -3%"), 28, ["thresholds[1].tolerance", "`-3%`"]),
    "catch below tolerance": (changed("tolerance: 3%", "tolerance: 3%, catch: 2%"), 28, ["thresholds[1].catch", "`2%`", "0.03"]),
    "catch of a floor": (changed("floor: 1.05", "floor: 1.05\n    catch: 3%"), 27, ["thresholds[0].catch", "tolerance"]),
    "catch of no number": (changed("tolerance: 3%", "tolerance: 3%, catch: much"), 28, ["thresholds[1].catch", "`much`"]),
    "no date": (changed("2027-01-31", "soon"), 32, ["waivers[0].until", "`soon`", "2027-01-31"]),
    "waiver matches nothing": (
        changed("blip-base/bf16/*", "blip-base/bf17/*"),
        32,
        ["waivers[0].cases", "did you mean blip-base/bf16/scenes:40?"],
    ),
    "waiver of no metric": (
        GOOD.replace('*", metric: time_per_caption, exp', '*", metric: x, exp'),
        32,
        ["waivers[0].metric", "'x'"],
    ),
    "plugin file": (changed("plugins: []", "plugins: [none.py]"), 2, ["plugins[0]", "'none.py'", "FileNotFoundError"]),
    "plugin module": (changed("plugins: []", "plugins: [no.such.one]"), 2, ["plugins[0]", "'no.such.one'", "No module named"]),
    "plugin of nothing": (changed("plugins: []", "plugins: [json]"), 2, ["plugins[0]", "registers nothing", "VARIANTS"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_sentence_with_file_line_and_key(tmp_path: Path, name: str) -> None:
    text, line, words = WRONG[name]
    message = refusal(tmp_path, text)
    assert message.startswith(f"{tmp_path / 'suite.yaml'}:{line}: "), message
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(VlmgateError, match="cannot be read") as caught:
            load_suite(path, MODELS, VARIANTS, ["scenes"], METRICS)
        assert str(caught.value).startswith(f"{path}: ")


PLUGIN = """\
from dataclasses import dataclass
from vlmgate.spec import Better, Metric, Model, Question, Source, Step, Variant

MODELS = {"ours": Model("ours", "blip", Source.LOCAL, "weights", {})}
VARIANTS = {"int4": Variant("int4", (Step("int4", {"group": 64}),))}
METRICS = {"politeness": Metric("politeness", "", Better.HIGHER, Question.QUALITY, "retention", False)}
DATASETS = {"photos": lambda: None}
"""
WITH_PLUGIN = """\
schema: 1
plugins: [extra/plugin.py]
variants: {int4: {int4: {group: 32}}}
tiers: {t: {cases: [{models: [ours], variants: [fp32, int4], datasets: [photos]}]}}
thresholds:
  - {cases: "ours/int4/*", metric: politeness, against: reference, floor: 97%, reason: manners}
"""


def plugin(folder: Path, source: str) -> str:
    (folder / "extra").mkdir(exist_ok=True)
    (folder / "extra" / "plugin.py").write_text(source, encoding="utf-8")
    return WITH_PLUGIN


def test_a_plugin_file_adds_names_of_every_kind(tmp_path: Path) -> None:
    suite = load(tmp_path, plugin(tmp_path, PLUGIN))
    assert [case.id for case in suite.tier("t").cases] == ["ours/fp32/photos", "ours/int4/photos"]
    assert suite.tier("t").cases[1].variant.steps == (Step("int4", {"group": 32}),)
    assert suite.thresholds_for("ours/int4/photos")[0].line == 0.97
    assert set(suite.metrics) == {*METRICS, "politeness"}
    assert list(suite.datasets) == ["photos"]
    assert suite.plugins == (str((tmp_path / "extra" / "plugin.py").resolve()),)
    assert load_plugin(suite.plugins[0]).DATASETS["photos"] is suite.datasets["photos"], "a plugin runs once a process"
    assert "int4" not in VARIANTS
    assert "politeness" not in METRICS


def test_a_plugin_may_be_a_dotted_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, PLUGIN)
    (tmp_path / "extra").rename(tmp_path / "suite_test_extra")
    monkeypatch.syspath_prepend(str(tmp_path))
    suite = load(tmp_path, WITH_PLUGIN.replace("extra/plugin.py", "suite_test_extra.plugin"))
    assert suite.plugins == ("suite_test_extra.plugin",)
    assert suite.tier("t").cases[0].model.name == "ours"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (PLUGIN.replace('"int4"', '"pruned"'), ["VARIANTS['pruned']", "already registered"]),
        (PLUGIN.replace('"photos"', '"scenes"'), ["DATASETS['scenes']", "already registered"]),
        (PLUGIN.replace('{"int4": V', '{"int5": V'), ["VARIANTS['int5']", "Variant of that name"]),
        (PLUGIN.replace('"photos"', '"a/b"'), ["DATASETS['a/b']", "letters"]),
        (PLUGIN + 'MODELS["other"] = "weights"\n', ["MODELS['other']", "must be a Model"]),
        (PLUGIN + "METRICS = 3\n", ["cannot be loaded", "TypeError"]),
        (PLUGIN + "raise RuntimeError('no\\nweights')\n", ["cannot be loaded", "RuntimeError: no weights"]),
        (PLUGIN + "def broken(:\n", ["cannot be loaded", "SyntaxError"]),
        (PLUGIN + "raise SystemExit(0)\n", ["cannot be loaded", "SystemExit"]),
    ],
)
def test_a_broken_plugin_is_named_at_its_line(tmp_path: Path, source: str, words: list[str]) -> None:
    message = refusal(tmp_path, plugin(tmp_path, source))
    assert message.startswith(f"{tmp_path / 'suite.yaml'}:2: plugins[0]: plugin 'extra/plugin.py'")
    for word in words:
        assert word in message, message
    assert "\n" not in message


def test_a_plugin_that_failed_is_run_again_when_it_is_mended(tmp_path: Path) -> None:
    refusal(tmp_path, plugin(tmp_path, PLUGIN + "raise RuntimeError\n"))
    assert load(tmp_path, plugin(tmp_path, PLUGIN + "# this one is longer than the first\n")).tier("t")


def test_a_suite_is_read_without_torch(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("schema: 1\ntiers: {}\n", encoding="utf-8")
    program = (
        "import sys, pathlib; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from vlmgate.suite import load_suite\n"
        "try: load_suite(pathlib.Path(sys.argv[1]), {}, {}, [], {})\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "suite.yaml")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "VlmgateError\n"


# artefacts

PLACE = "  pruned: {l1: {amount: 0.3}}\n"


def test_an_artefact_is_a_variant_by_its_folder(tmp_path: Path) -> None:
    variant = load(tmp_path, changed(PLACE, PLACE + "  mine: {artefact: ../x/shipped}\n")).variants["mine"]
    assert variant.steps == (Step("artefact", {"folder": str((tmp_path.parent / "x" / "shipped").resolve())}),)
    assert variant.about == "the artefact in ../x/shipped, as it is"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("fp32: {artefact: x}", "variants.fp32: 'fp32' must be a new name"),
        ("a/b: {artefact: x}", "variants.a/b: 'a/b' must be a new name"),
        ("mine: {artefact: x, l1: {amount: 1}}", "variants.mine.l1: an artefact is measured as it is"),
        ("mine: {artefact: 3}", "variants.mine.artefact: expected a text that is not blank, got `3`"),
    ],
)
def test_mistakes_about_artefacts(tmp_path: Path, entry: str, sentence: str) -> None:
    assert sentence in refusal(tmp_path, changed(PLACE, f"{PLACE}  {entry}\n"))


def test_the_full_tier_weighs_every_case_in_three_processes() -> None:
    suite = open_suite(Namespace(suite=ROOT / "benchmarks" / "suite.yaml"))
    asked = [case for case in suite.tier("full").cases if Question.MEMORY in case.questions]
    assert {case.dataset for case in asked} == {"scenes:2000", "awkward", "scenes"}
    assert {case.settings.processes for case in asked} == {3}


def test_every_compressed_case_has_lines_of_its_own() -> None:
    """What it stores, and where that can be known, what it says and how long it takes: one line for all is none."""
    suite = open_suite(Namespace(suite=ROOT / "benchmarks" / "suite.yaml"))
    holes = []
    for tier in suite.tiers.values():
        for case in tier.cases:
            own = {line.metric for line in suite.thresholds_for(case.id) if line.cases != "*"}
            if reference_of(case, tier.cases) is case:
                continue
            stored = {"size", "parameters", "bits_per_weight", "low_precision_share", "sparsity"}
            wanted = [stored]
            wanted += [{"cider"}] if case.model.source is Source.FIXTURE and Question.QUALITY in case.questions else []
            wanted += [{"time_per_caption"}] if case.model.name == "blip-base" and case.variant.device == "cpu" else []
            holes += [
                f"{tier.name}: {case.id} has no line on {' or '.join(sorted(names))}" for names in wanted if not names & own
            ]
    assert holes == []
