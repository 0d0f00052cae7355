from importlib import resources
from pathlib import Path

from fishergauge.reports import code_version
from fishergauge.reports.code_version import _sources


def test_the_digest_covers_packages_below_and_leaves_out_what_changes_no_result() -> None:
    names = {name for name, _ in _sources(resources.files("fishergauge.reports"), "reports")}
    assert {"reports/cell.py", "reports/course/training_runs.py", "reports/gauss_newton/relu_model.py"} <= names
    assert not {name for name in names if "figure" in name or "/test_" in name or "/cli.py" in name}
    assert "suites/spectrum/approximations.py" in {n for n, _ in _sources(resources.files("fishergauge.suites"), "suites")}


def test_a_change_below_changes_the_version(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("above.py", "below/cell.py", "below/figure.py"):
        (tmp_path / name).write_text("1")
    before = dict(_sources(tmp_path, "package"))
    assert set(before) == {"package/above.py", "package/below/cell.py"}
    (tmp_path / "below" / "cell.py").write_text("2")
    assert dict(_sources(tmp_path, "package")) != before
    assert code_version.code_version() == code_version.code_version()
