"""``fishergauge report``: options, exit codes, and a page in every case."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from fishergauge.reports import report_runs
from fishergauge.reports.cli import main
from fishergauge.reports.page.document import read_document
from fishergauge.reports.report_stages import OF_SUBJECTS, PARTS, Asked, Stage, stages

CLAIM = {
    "id": "E1.1",
    "experiment": "e1",
    "data": "synthetic",
    "statement": "The step <b>is</b> shorter.",
    "source": "section 1",
    "published": "+2 %",
    "as_published": "+2.1 %",
    "as_it_should_be": "-36 %",
    "verdict": "refuted",
    "reason": "It grows.",
    "figures": {},
}


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the results in an empty current folder; what is run does nothing unless a test says what."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report_runs, "PROGRAM", "print('nothing done')")
    return tmp_path / "out"


def ledger(folder: Path) -> None:
    """What ``fishergauge reproduce`` leaves, in small."""
    folder.mkdir(exist_ok=True)
    (folder / "claims.json").write_text(json.dumps({"schema": 1, "remarks": [], "claims": [CLAIM]}))


def report(*arguments: str) -> int:
    """The exit code of the command."""
    try:
        return main(["report", *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def names(folder: Path) -> list[str]:
    """The parts of the report in a folder."""
    return [part.name for part in read_document(folder).parts]


def test_an_empty_folder_gives_a_page_that_says_what_is_missing(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report("--collect") == 3
    printed = capsys.readouterr().out
    assert "vacuous" in printed
    page = (out / "index.html").read_text(encoding="utf-8")
    for name in PARTS:
        assert f'id="{name}"' in page
    assert page.count("fishergauge reproduce all") >= 1
    assert (out / "report.md").exists()
    assert (out / "badge.svg").read_text().startswith("<svg")


def test_what_is_there_is_shown_and_escaped(out: Path) -> None:
    ledger(out)
    assert report("--collect") == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "The step &lt;b&gt;is&lt;/b&gt; shorter." in page
    assert "The step <b>is" not in page


def test_two_reports_on_the_same_results_are_the_same(out: Path) -> None:
    ledger(out)
    report("--collect")
    first = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    report("--collect")
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == first


def test_a_run_that_fails_is_red_and_does_not_take_the_page_along(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger(out)
    monkeypatch.setattr(report_runs, "PROGRAM", "import sys; print('<i>no disk</i>'); sys.exit(2)")
    assert report("--parts", "paper", "--fresh") == 1
    assert "exit code 2" in capsys.readouterr().out
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "&lt;i&gt;no disk&lt;/i&gt;" in page
    assert "<i>no disk" not in page
    assert "E1.1" in page, "what an earlier run left is shown"


def test_a_red_run_whose_part_shows_nothing_red_is_red_all_the_same(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger(out)
    monkeypatch.setattr(report_runs, "PROGRAM", "import sys; print('two <i>cells</i> failed'); sys.exit(1)")
    assert report("--parts", "paper") == 1
    assert "two &lt;i&gt;cells&lt;/i&gt; failed" in (out / "index.html").read_text(encoding="utf-8")


def test_a_run_that_examined_nothing_is_vacuous(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger(out)
    monkeypatch.setattr(report_runs, "PROGRAM", "import sys; sys.exit(3)")
    assert report("--parts", "paper") == 3
    assert report("--parts", "paper", "--collect") == 0


@pytest.mark.parametrize(
    ("options", "at_once", "jobs"), [(["-j", "4"], 1, "4"), (["--quick", "-j", "4"], 2, "2"), (["--quick", "-j", "1"], 1, "1")]
)
def test_runs_share_the_cores_only_where_nothing_is_timed(
    out: Path, options: Sequence[str], at_once: int, jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def run_stages(stages: Sequence[Stage], out: Path, fresh: bool, say: object, at_once: int) -> list[object]:
        seen.extend([at_once, stages[0].arguments[stages[0].arguments.index("--jobs") + 1]])
        return []

    monkeypatch.setattr(report_runs, "run_stages", run_stages)
    report(*options)
    assert seen == [at_once, jobs]


def test_a_part_that_cannot_be_read_does_not_take_the_page_along(out: Path) -> None:
    ledger(out)
    (out / "spectrum.json").write_text('{"rows": [')
    assert report("--collect") == 0
    document = read_document(out)
    spectrum = document.part("spectrum")
    assert spectrum is not None
    assert spectrum.status == "missing"
    assert "spectrum.json" in spectrum.gaps[0].why


def test_only_the_parts_that_are_asked_for_are_run_and_shown(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report("--parts", "spectrum,accuracy") == 3
    shown = names(out)
    assert [name for name in shown if name in PARTS] == ["spectrum", "accuracy"]
    assert "environment" in shown
    assert "peers:" not in capsys.readouterr().out


def test_subjects_bring_their_own_parts(out: Path) -> None:
    (out.parent / "mine.py").write_text("def subject(problem):\n    raise NotImplementedError\n")
    report("--subject", "mine.py:subject")
    assert [name for name in names(out) if name in PARTS] == list(OF_SUBJECTS)


@pytest.mark.parametrize(
    ("options", "run", "shown"),
    [([], True, True), (["--quick"], False, False), (["--subject", "fishergauge.reference:fisher"], False, False)],
)
def test_large_models_are_probed_in_a_full_report_and_shown_where_they_were(
    options: Sequence[str], run: bool, shown: bool, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def run_stages(stages: Sequence[Stage], *_: object) -> list[object]:
        begun.extend(stage.part for stage in stages)
        return []

    monkeypatch.setattr(report_runs, "run_stages", run_stages)
    report(*options)
    assert ("probes" in begun, "probes" in names(out)) == (run, shown)
    (out / "probes").mkdir()
    (out / "probes" / "probes.json").write_text(json.dumps({"schema": 1, "subjects": [{"name": "x", "vacuous": {"*": "no"}}]}))
    report(*options, "--collect")
    part = read_document(out).part("probes")
    assert part is not None
    assert part.data["subjects"][0]["name"] == "x"
    report(*options, "--collect", "--parts", "spectrum")
    assert "probes" not in names(out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--parts", "specturm"], "did you mean spectrum?"),
        (["--parts", ","], "--parts is empty"),
        (["--collect", "--fresh"], "give one of them"),
        (["--compare", "nowhere"], "no such file"),
        (["--problem-file", "nowhere.py"], "no such file"),
        (["--device", "tpu"], "use cpu or cuda"),
        (["--subject", "nowhere.py:subject"], "nowhere.py"),
        (["--subject", "mine.py:subject", "./mine.py:subject"], "one name"),
        (["--out", "mine.py"], "is a file"),
    ],
)
def test_options_that_cannot_be_honoured(
    out: Path, arguments: Sequence[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (out.parent / "mine.py").write_text("def subject(problem):\n    raise NotImplementedError\n")
    assert report(*arguments) == 2
    assert words in capsys.readouterr().err
    assert not (out / "index.html").exists()


def test_compared_with_itself_nothing_changed_and_a_lost_claim_is_red(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger(out)
    report("--collect")
    shutil.copytree(out, out.parent / "old")
    assert report("--collect", "--compare", "old") == 0
    assert names(out)[0] == "changes"
    (out / "claims.json").write_text(json.dumps({"schema": 1, "remarks": [], "claims": [{**CLAIM, "id": "E1.2"}]}))
    assert report("--collect", "--compare", "old/report.json") == 1
    assert "E1.1" in capsys.readouterr().out


def test_every_run_is_a_command_that_there_is() -> None:
    from fishergauge.reports.cli import parser

    for quick in (False, True):
        for subjects in ((), ("mine.py:subject", "other.py:subject")):
            asked = Asked(PARTS, subjects, (Path("problems.py"),), quick, seed=3, jobs=2)
            for stage in stages(asked):
                for more in ((), stage.resume, stage.anew):
                    options = parser().parse_args([*stage.arguments, *more, "--out", "out"])
                    assert stage.ours is not (bool(subjects) and stage.part in OF_SUBJECTS)
                    if stage.part in OF_SUBJECTS:
                        given = options.subject if stage.part != "conformance" else options.subjects
                        assert list(given) == list(subjects), stage.part
                    assert getattr(options, "quick", True) is True or not quick
