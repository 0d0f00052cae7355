"""Every test that examines the quantities turns red on a planted defect, and is green without it."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

import pytest

from fishergauge import suites
from fishergauge.suites.meta.configuration_plants import CONFIGURATION_PLANTS
from fishergauge.suites.meta.paper_plants import PAPER_PLANTS
from fishergauge.suites.meta.plants import PLANTS, Plant
from fishergauge.suites.meta.zoo_plants import ZOO_PLANTS

ALL_PLANTS = PLANTS + PAPER_PLANTS + CONFIGURATION_PLANTS + ZOO_PLANTS


def _is_red(error: BaseException) -> bool:
    """A failed assertion, or a refusal that did not come; a crash is neither."""
    return isinstance(error, AssertionError | pytest.fail.Exception)


@pytest.mark.parametrize("plant", ALL_PLANTS, ids=[f"{number}-{plant}" for number, plant in enumerate(ALL_PLANTS)])
def test_the_planted_defect_turns_the_test_red(plant: Plant) -> None:
    test = _without_hypothesis(plant.test)  # the table holds one example each, so that none has to be searched for
    try:
        test(quantities=plant.quantities, **plant.arguments)
    except BaseException as error:
        if not _is_red(error):
            raise
        return
    pytest.fail(f"{plant.test.__name__} stays green on the planted defect {plant.defect!r}")


def _without_hypothesis(test: Callable[..., None]) -> Callable[..., None]:
    """The function that Hypothesis would call with examples."""
    return test.hypothesis.inner_test if hasattr(test, "hypothesis") else test


def _examining_tests() -> dict[str, Callable[..., None]]:
    """All tests of the suites that take the quantities under examination."""
    found = {}
    for module in pkgutil.iter_modules(suites.__path__):
        if not module.name.startswith("test_"):
            continue
        for name, test in vars(importlib.import_module(f"fishergauge.suites.{module.name}")).items():
            if name.startswith("test_") and "quantities" in inspect.signature(_without_hypothesis(test)).parameters:
                found[f"{module.name}.{name}"] = test
    return found


def test_no_examining_test_is_without_its_planted_defect() -> None:
    planted = {plant.test for plant in ALL_PLANTS}
    missing = [name for name, test in _examining_tests().items() if test not in planted]
    assert not missing, f"never seen to fail: {missing}"


def test_the_search_for_examining_tests_is_not_empty() -> None:
    assert len(_examining_tests()) > 50
