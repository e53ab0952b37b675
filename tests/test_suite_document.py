"""The text of a suite file: strict YAML and the schema, and every mistake in it is one sentence with file, line and key."""

import json
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest
from suite_samples import GOOD, TIER, changed

from vlmgate.spec import Against, Question, Settings, VlmgateError
from vlmgate.suite.document import File

PATH = Path("folder") / "suite.yaml"


def refusal(text: str | bytes) -> str:
    with pytest.raises(VlmgateError) as caught:
        File(PATH).parse(text.encode() if isinstance(text, str) else text)
    return str(caught.value)


def test_plain_data_comes_out_and_every_key_knows_its_line() -> None:
    file = File(PATH)
    raw = file.parse(GOOD.encode())
    assert raw["settings"] == {"threads": 3, "images": 50}
    assert raw["tiers"]["smoke"]["cases"][1]["datasets"] == ["scenes:40"]
    assert file.places[("settings",)] == (3, "")
    assert file.places[("tiers", "smoke", "cases", 1, "datasets", 0)] == (17, "scenes:40")
    assert str(file.error(("thresholds", 1, "tolerance"), "is odd")) == f"{PATH}:28: thresholds[1].tolerance: is odd"
    assert str(file.error(("settings", "nowhere"), "is odd")).startswith(f"{PATH}:3: "), "the nearest parent that is there"


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    assert File(PATH).parse(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()) == File(PATH).parse(GOOD.encode())


def test_an_unknown_name_comes_with_its_place_and_the_known_ones() -> None:
    with pytest.raises(VlmgateError, match=r"suite\.yaml:1: tiers: unknown tier 'a'; known: b"):
        File(PATH).known(("tiers",), "tier", "a", {"b": 1})
    assert File(PATH).known(("tiers",), "tier", "b", {"b": 1}) == 1


WRONG = {
    "syntax": (changed("plugins: []", "plugins: ["), 4, ["YAML", "expected ',' or ']'", "line 2"]),
    "tab": (changed("  smoke:", "\tsmoke:"), 7, ["YAML", "\\t"]),
    "duplicate key": (changed("plugins: []", "schema: 1"), 2, ["'schema'", "line 1"]),
    "duplicate tier": (GOOD.replace("  full:\n", "  smoke:\n"), 19, ["'smoke'", "line 7"]),
    "alias": (changed("[scene-blip]", "&m [scene-blip]"), 11, ["aliases", "refused"]),
    "merge key": (changed("settings: {threads: 3", "settings: {<<: {batch: 2}, threads: 3"), 3, ["`<<`"]),
    "boolean key": (changed("  smoke:", "  on:"), 7, ["`on`", "quotes"]),
    "python tag": (changed("about: the short one", "about: !!python/object/apply:os.getcwd []"), 8, ["tags (!)", "refused"]),
    "deep": ("schema: 1\ntiers: " + "[" * 3000, 1, ["nested"]),
    "second document": (GOOD + "---\nschema: 1\n", GOOD.count("\n") + 1, ["document"]),
    "control character": (changed("the short one", "the \x01 one"), 8, ["control character"]),
    "empty": ("", 1, ["empty", "tiers"]),
    "only comments": ("# soon\n", 1, ["empty", "tiers"]),
    "a list": ("- a\n- b\n", 1, ["expected a mapping"]),
    "not a number": (changed("floor: 1.05", "floor: .nan"), 26, ["`.nan`", "finite"]),
    "infinite": (changed("at_most: 2", "at_most: .inf"), 29, ["`.inf`", "finite"]),
    "huge": (changed("at_most: 2", "at_most: 1" + "0" * 400), 29, ["thresholds[2].at_most", "expected a number"]),
    "bad tagged number": (changed("floor: 1.05", "floor: !!int x"), 26, ["tags (!)", "refused"]),
    "unknown key": (
        changed("plugins: []", "plugin: []"),
        2,
        ["plugin:", "unknown key 'plugin'", "plugins", "did you mean plugins?"],
    ),
    "unknown tier key": (changed("    about:", "    abuot:"), 8, ["tiers.smoke.abuot", "did you mean about?"]),
    "unknown setting": (
        changed("timed_images", "timed_image"),
        14,
        ["tiers.smoke.cases[0].settings.timed_image", "did you mean timed_images?"],
    ),
    "unknown threshold key": (changed("    reason: f", "    raeson: f"), 27, ["thresholds[0].raeson", "did you mean reason?"]),
    "no schema": (GOOD.replace("schema: 1\n", ""), 1, ["'schema' is missing"]),
    "another schema": (changed("schema: 1", "schema: 2"), 1, ["schema:", "expected 1", "`2`"]),
    "no tiers": ("schema: 1\n", 1, ["'tiers' is missing"]),
    "zero tiers": ("schema: 1\ntiers: {}\n", 2, ["tiers:", "at least one tier"]),
    "nothing": ("schema: 1\ntiers:\n", 2, ["tiers:", "got `nothing`"]),
    "tier name": (changed("  smoke:", "  a/b:"), 7, ["tiers.a/b", "letters"]),
    "no cases": (TIER.replace("cases:", "cases: []"), 4, ["tiers.t.cases", "at least one entry"]),
    "no reason": (changed("    reason: faster or useless\n", ""), 23, ["thresholds[0]", "'reason' is missing"]),
    "blank reason": (changed("faster or useless", '" "'), 27, ["thresholds[0].reason", "not blank"]),
    "boolean name": (changed("about: the short one", "about: yes"), 8, ["tiers.smoke.about", "`yes`", "boolean", "quotes"]),
    "boolean setting": (changed("threads: 3", "threads: on"), 3, ["settings.threads", "whole number", "`on`", "boolean"]),
    "zero threads": (changed("threads: 3", "threads: 0"), 3, ["settings.threads", "from 1", "`0`"]),
    "broken threads": (changed("threads: 3", "threads: 1.5"), 3, ["settings.threads", "whole number", "`1.5`"]),
    "text for a list": (changed("models: [scene-blip]", "models: scene-blip"), 11, ["cases[0].models", "list", "`scene-blip`"]),
    "twice in a list": (changed("[fp32, bf16]", "[fp32, fp32]"), 16, ["cases[1].variants", "different"]),
    "unknown question": (
        changed("latency, size", "latency, sise"),
        18,
        ["questions[1]", "'sise'", "memory", "did you mean size?"],
    ),
    "unknown against": (changed("against: reference", "against: refrence"), 25, ["against", "did you mean reference?"]),
    "no percentage": (changed("tolerance: 3%", "tolerance: three"), 28, ["thresholds[1].tolerance", "percentage", "`three`"]),
    "exponent without a dot": (changed("floor: 1.05", "floor: 1e-3"), 26, ["thresholds[0].floor", "`1e-3`", "number"]),
    "percentage as a limit": (changed("at_most: 2", "at_most: 2%"), 29, ["thresholds[2].at_most", "`2%`", "number"]),
    "no such day": (changed("2027-01-31", "2027-02-30"), 32, ["`2027-02-30`", "date"]),
    "waiver of a pass": (changed("expected: fail", "expected: pass"), 32, ["waivers[0].expected", "'pass'", "fail"]),
    "waiver without reason": (changed(", reason: slow CPU", ""), 32, ["waivers[0]", "'reason' is missing"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_sentence_with_file_line_and_key(name: str) -> None:
    text, line, words = WRONG[name]
    message = refusal(text)
    assert message.startswith(f"{PATH}:{line}: "), message
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    message = refusal(GOOD.encode().replace(b"the short one", b"caf\xe9"))
    assert message.startswith(f"{PATH}:8: ")
    assert "UTF-8" in message


def test_the_schema_knows_the_settings_and_questions_of_the_vocabulary() -> None:
    definitions = json.loads((files("vlmgate") / "suite.schema.json").read_text(encoding="utf-8"))["$defs"]
    assert list(definitions["settings"]["properties"]) == [field.name for field in fields(Settings)]
    assert definitions["entry"]["properties"]["questions"]["items"]["enum"] == list(Question)
    assert definitions["threshold"]["properties"]["against"]["enum"] == list(Against)
