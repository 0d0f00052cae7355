import json
import sys
from pathlib import Path

import pytest

from fishergauge.reports.cli import main
from fishergauge.reports.code_version import package_version
from fishergauge.reports.experiments import EXPERIMENTS
from fishergauge.reports.targets import NEEDS, TARGETS


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"fishergauge {package_version()}\n"


@pytest.mark.parametrize("arguments", [[], ["reproduce"], ["reproduce", "e9"], ["reproduce", "e4", "--seeds", "many"]])
def test_what_cannot_be_parsed_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mnist"], "no data set 'mnist'; choose from synthetic"),
        (["--seeds", "0"], "must be at least 1, not 0"),
        (["--device", "abacus"], "is no device; use cpu or cuda"),
    ],
)
def test_bad_options_end_with_2_and_say_why(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "e4", "--out", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_data_for_experiments_that_bring_their_own_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "vector-field", "--data", "wine", "--out", str(tmp_path)]) == 2
    assert "--data is for e1, e2, e3, e4; vector-field brings data of its own" in capsys.readouterr().err


def test_the_help_lists_every_experiment_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [parts for parts in lines if parts and parts[0] in TARGETS] == [list(item) for item in TARGETS.items()]
    assert set(NEEDS) <= set(TARGETS)
    assert list(TARGETS) == list(EXPERIMENTS)
    assert all(experiment.name == name for name, experiment in EXPERIMENTS.items())


def test_a_package_that_one_experiment_needs_is_asked_for_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    assert main(["reproduce", "policy", "--quick", "--out", str(tmp_path)]) == 2
    assert "gymnasium is not installed; run: pip install 'fishergauge[report]'" in capsys.readouterr().err


def test_a_missing_extra_is_named_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["reproduce", "e4", "--data", "synthetic", "--out", str(tmp_path)]) == 2
    assert "matplotlib is not installed; run: pip install 'fishergauge[report]'" in capsys.readouterr().err


def test_e3_on_small_real_data_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["reproduce", "e3", "e4", "--data", "wine", "--seeds", "1", "--quick", "--out", str(tmp_path)]
    assert main(arguments) == 0
    for name in ("E3", "E4"):
        for ending in ("_results.csv", "_summary.json", "_results_corrected.csv", "_figure.png", "_figure.pdf"):
            assert (tmp_path / "wine" / f"{name}{ending}").stat().st_size > 100
    assert (tmp_path / "wine" / "E4_results.csv").read_text().startswith("seed,kappa,method,max_diff\n0,10,sgd,")
    claims = {claim["id"]: claim["verdict"] for claim in json.loads((tmp_path / "claims.json").read_text())["claims"]}
    assert claims["E3.1"] == claims["E4.2"] == "confirmed"
    assert "0 failures" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "0 cells computed" in capsys.readouterr().out


def test_an_interrupt_keeps_what_is_finished_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fishergauge.reports.reproduce.reproduce", interrupted)
    assert main(["reproduce", "e4", "--out", str(tmp_path)]) == 130
    assert "the same command goes on" in capsys.readouterr().err
