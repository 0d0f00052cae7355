import argparse
import subprocess
import sys
from itertools import chain

import pytest

from fishergauge.reports.run_options import available_cores
from fishergauge.reports.sweep.dask_engine import DaskEngine
from fishergauge.reports.sweep.loky_engine import LokyEngine
from fishergauge.reports.sweep.options import add_engine_options, engine_of, shard_of
from fishergauge.reports.sweep.serial_engine import SerialEngine
from fishergauge.reports.usage import UsageError


def _parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    return parser.parse_args(arguments)


def test_the_options_choose_the_engine() -> None:
    default = engine_of(_parsed())
    assert isinstance(default, LokyEngine)
    assert default.jobs == available_cores()
    four = engine_of(_parsed("-j", "4"))
    assert isinstance(four, LokyEngine)
    assert four.jobs == 4
    one = engine_of(_parsed("--engine", "joblib", "-j", "1"))
    assert isinstance(one, LokyEngine)
    assert one.jobs == 1
    assert isinstance(engine_of(_parsed("-j", "1")), SerialEngine)
    assert isinstance(engine_of(_parsed("--engine", "serial")), SerialEngine)
    for arguments in (("--scheduler", "tcp://a:1"), ("--engine", "dask", "--scheduler", "tcp://a:1")):
        remote = engine_of(_parsed(*arguments))
        assert isinstance(remote, DaskEngine)
        assert (remote.scheduler, remote.cluster) == ("tcp://a:1", "")
    local = engine_of(_parsed("--cluster", "local:2"))
    assert isinstance(local, DaskEngine)
    assert (local.scheduler, local.cluster) == ("", "local:2")


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ("--engine dask", "--scheduler ADDRESS or --cluster SPEC"),
        ("--engine dask --scheduler a --cluster local:1", "give one of them"),
        ("--scheduler a --cluster local:1", "give one of them"),
        ("--engine joblib --scheduler a", "leave it out, or --engine joblib"),
        ("--engine serial --cluster local:1", "leave it out, or --engine serial"),
        ("--cluster local:4 -j 4", "--cluster local:4"),
        ("--engine serial -j 2", "take --engine joblib"),
        ("--scheduler=", "is empty"),
    ],
)
def test_options_that_contradict_one_another_are_refused_with_a_remedy(arguments: str, remedy: str) -> None:
    with pytest.raises(UsageError) as error:
        engine_of(_parsed(*arguments.split()))
    assert remedy in str(error.value)


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"distributed is not installed; run: pip install 'fishergauge\[dask\]'"):
        engine_of(_parsed("--cluster", "local:1"))


def test_a_senseless_number_of_processes_is_refused() -> None:
    options = _parsed()
    options.jobs = 0
    with pytest.raises(UsageError, match="at least 1, not 0"):
        engine_of(options)


def test_shards_are_a_partition() -> None:
    whole = list(range(10))
    parts = [shard_of(whole, _parsed("--shard", f"{number}/3")) for number in (1, 2, 3)]
    assert sorted(chain.from_iterable(parts)) == whole
    assert {len(part) for part in parts} == {3, 4}
    assert shard_of(whole, _parsed()) == whole
    assert shard_of(whole[:1], _parsed("--shard", "2/2")) == []


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_what_is_no_shard_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parsed(f"--shard={text}")
    assert "I/N with I from 1 to N" in capsys.readouterr().err


def test_the_options_import_no_torch_and_no_dask() -> None:
    script = """
import argparse, sys
from fishergauge.reports.sweep.merge_command import add_parser
from fishergauge.reports.sweep.options import add_engine_options
add_engine_options(argparse.ArgumentParser())
assert not {"torch", "joblib", "dask", "distributed"} & set(sys.modules), set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
