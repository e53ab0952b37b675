"""The commands that prove the suite, as a user types them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from banks import CENTRES
from banks import bank as bank_of

from vlmgate.cli import proof
from vlmgate.running import Options
from vlmgate.selftest import write_bank
from vlmgate.selftest.quick import CHECKS, Seen
from vlmgate.spec import Against, Outcome, Question, Verdict

Run = Callable[..., tuple[int, str, str]]


def test_a_bank_of_an_unknown_model_or_case_is_one_sentence(vlmgate: Run, tmp_path: Path) -> None:
    for options, words in (
        (["--model", "tyni"], "did you mean tiny?"),
        (["--model", "tiny", "--dataset", "awkward"], "tier default has no case tiny/*/awkward"),
        (["--model", "tiny", "--tier", "smoke"], "unknown tier 'smoke'"),
    ):
        status, out, err = vlmgate("bank", "--out", tmp_path / "b", *options)
        assert (status, out) == (4, "") and words in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_blocks_and_more_exclude_each_other(vlmgate: Run) -> None:
    status, _, err = vlmgate("bank", "--blocks", "2", "--more", "1")
    assert status == 4 and "not allowed with" in err


def test_noise_prints_and_writes_the_same_tables(vlmgate: Run, tmp_path: Path) -> None:
    path = write_bank(bank_of(8), tmp_path / "b.jsonl.gz")
    status, out, err = vlmgate("noise", "--bank", path, "--markdown", tmp_path / "noise.md")
    assert (status, err) == (0, "")
    written = (tmp_path / "noise.md").read_text(encoding="utf-8")
    for words in ("placebo against fp32", "flagged by median:5%, same code", "fp32-slow20"):
        assert words in out and words in written


def test_too_small_a_bank_is_one_sentence(vlmgate: Run, tmp_path: Path) -> None:
    path = write_bank(bank_of(3), tmp_path / "b.jsonl.gz")
    status, out, err = vlmgate("noise", "--bank", path)
    assert (status, out) == (4, "") and "holds 3 blocks; this needs at least 4" in err


def test_the_long_proof_prints_its_rates(vlmgate: Run, tmp_path: Path) -> None:
    path = write_bank(bank_of(30), tmp_path / "b.jsonl.gz")
    status, out, err = vlmgate("selftest", "--bank", path, "--runs", "3", "--lines", "5", "--markdown", tmp_path / "proof.md")
    assert status == 0 and "FP32 +20%" in out and "3 runs a row" in out and "shared among 5 noisy lines" in out
    assert "| FP32 +20%" in (tmp_path / "proof.md").read_text(encoding="utf-8")
    assert "3 runs" in err


def test_the_long_proof_is_red_where_identical_code_fails(vlmgate: Run, tmp_path: Path) -> None:
    unlike = {**CENTRES, "int8-copy": 1.2 * CENTRES["int8-copy"]}
    path = write_bank(bank_of(30, sd=0.002, centres=unlike), tmp_path / "b.jsonl.gz")
    status, _, err = vlmgate("selftest", "--bank", path, "--runs", "10")
    assert status == 1 and "too many false alarms: INT8, second copy: fails 100.0 %" in err


def test_the_short_proof_goes_on_from_its_log_and_is_red_when_a_gate_is_blind(
    vlmgate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Question, ...]] = []

    def checks(model: object, options: Options, questions: tuple[Question, ...], progress: object) -> list[Seen]:
        asked.append(questions)
        assert options.within and options.within < 300  # seconds
        slow = CHECKS[1]
        words = (Verdict("c", slow.metric, slow.question, Against.REFERENCE, outcomes[len(asked) - 1], "a sentence"),)
        return [Seen(slow, *words)]

    monkeypatch.setattr(proof, "run_checks", checks)
    outcomes = [Outcome.FAIL, Outcome.FAIL, Outcome.PASS]
    log = tmp_path / "live.jsonl"
    status, out, _ = vlmgate("selftest", "--quick", "--model", "tiny", "--repeat", "2", "--log", log)
    assert status == 0 and "2 of 2" in out and asked == [tuple(Question), (Question.LATENCY,)]
    status, out, _ = vlmgate("selftest", "--quick", "--model", "tiny", "--repeat", "3", "--log", log)
    assert status == 1 and "2 of 3" in out and "WRONG" in out and len(asked) == 3
    assert len(log.read_text(encoding="utf-8").splitlines()) == 3
