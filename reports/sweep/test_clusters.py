import sys
from types import ModuleType
from typing import Any

import pytest

from fishergauge.reports.sweep.clusters import started
from fishergauge.reports.sweep.engine import EngineError


class Machines:
    """A class of clusters as others write them: keywords, ``scale``."""

    def __init__(self, **settings: Any) -> None:
        if settings.get("memory") == "0GB":
            raise ValueError("no memory")
        self.settings = settings
        self.scaled: list[dict[str, Any]] = []

    def scale(self, n: int = 0, jobs: int = 0) -> None:
        self.scaled.append({"n": n, "jobs": jobs})


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("machines_of_a_test")
    module.Machines = Machines  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_class_is_called_with_what_the_text_says_and_scaled() -> None:
    text = "machines_of_a_test:Machines,cores=4,memory=8GB,walltime=01:00:00,shebang=#!/bin/sh -l,local=True,share=0.5,jobs=10"
    cluster = started(text)
    settings = {"cores": 4, "memory": "8GB", "walltime": "01:00:00", "shebang": "#!/bin/sh -l", "local": True, "share": 0.5}
    assert cluster.settings == settings
    assert cluster.scaled == [{"n": 0, "jobs": 10}]
    assert started("machines_of_a_test:Machines,workers=3").scaled == [{"n": 3, "jobs": 0}]
    assert started("machines_of_a_test:Machines").scaled == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("local", "give local:4, or package.module:Class"),
        ("", "give local:4"),
        ("local:", "give local:4"),
        (":Machines", "give local:4"),
        ("local:0", "N from 1"),
        ("local:two", "N from 1"),
        ("local:2,memory=1GB", "N from 1"),
        ("machines_of_a_test:Machines,cores", "give local:4"),
        ("machines_of_a_test:Machines,=4", "give local:4"),
        ("machines_of_a_test:Machine", "machines_of_a_test has no Machine"),
        ("no_such_package:Cluster,jobs=1", "install the package that has no_such_package"),
        ("machines_of_a_test:Machines,memory=0GB", "Machines could not be started: ValueError: no memory"),
    ],
)
def test_what_is_no_cluster_is_refused(text: str, said: str) -> None:
    with pytest.raises(EngineError) as error:
        started(text)
    assert said in str(error.value)
