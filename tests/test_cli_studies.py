"""What the studies of docs/ share: whose settings are taken, and where the log is."""

from pathlib import Path

import pytest
from project import Project

from vlmgate.cli.studies import end, log_of, measured, study, tell, timed_as_asked
from vlmgate.spec import VlmgateError


def test_a_study_takes_the_tiers_settings_but_for_what_is_asked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMGATE_CACHE", str(project.root / "cache"))
    parser = study("kind", "about", project.root)
    plain = timed_as_asked(parser.parse_args(["--model", "tiny"]))
    assert (plain.model.name, plain.dataset, plain.root) == ("tiny", "scenes", project.root)
    assert (plain.settings.rounds, plain.settings.timed_images, plain.settings.new_tokens) == (2, 2, 4)  # of project.SUITE
    asked = timed_as_asked(parser.parse_args(["--model", "tiny", "--rounds", "5", "--images", "1"]))
    assert (asked.settings.rounds, asked.settings.timed_images, asked.settings.new_tokens) == (5, 1, 4)


def test_a_log_is_named_by_study_and_model_unless_it_is_named(tmp_path: Path) -> None:
    parser = study("kind", "about", tmp_path)
    assert log_of(parser.parse_args(["--model", "tiny"]), "kind", tmp_path) == tmp_path / "results" / "kind-tiny.jsonl"
    assert log_of(parser.parse_args(["--log", "here"]), "kind", tmp_path) == Path("here")
    assert all(action.help for action in parser._actions)
    assert "results/kind-MODEL.jsonl" in "".join(parser.format_help().split()), "as the help says, however it is wrapped"


def test_what_is_stopped_says_that_it_goes_on_and_tables_alone_measure_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    parser = study("kind", "about", tmp_path)
    assert measured(parser.parse_args([]), lambda: None) == 0
    assert measured(parser.parse_args([]), stopped) == 130
    assert capsys.readouterr().err == "stopped; the same command goes on\n"
    assert measured(parser.parse_args(["--table"]), stopped) == 0


def test_a_mistake_of_the_user_is_one_sentence_and_anything_else_a_traceback() -> None:
    def mistaken() -> int:
        raise VlmgateError("no such model")

    with pytest.raises(SystemExit, match=r"^kind: no such model$"):
        end("kind", mistaken)
    with pytest.raises(SystemExit) as done:
        end("kind", lambda: 130)
    assert done.value.code == 130
    with pytest.raises(ZeroDivisionError):
        end("kind", lambda: 1 // 0)


def test_progress_stands_beside_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    tell("1 of 2")
    assert capsys.readouterr() == ("", "1 of 2\n")
