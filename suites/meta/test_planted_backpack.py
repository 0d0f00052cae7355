"""Every test of the route by BackPACK turns red on a planted defect, and is green without it."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from backpack.context import CTX
from torch import Tensor

from fishergauge import reference, suites
from fishergauge.reference import Problem, UnsupportedError
from fishergauge.reference import backpack as route
from fishergauge.suites import test_backpack_agreement as agreement
from fishergauge.suites import test_backpack_monte_carlo as monte_carlo
from fishergauge.suites import test_backpack_products as products
from fishergauge.suites import test_backpack_refusals as refusals
from fishergauge.suites import test_backpack_untouched as untouched
from fishergauge.suites.backpack_quantities import EXTENSIONS, PRODUCTS, QUANTITIES
from fishergauge.suites.backpack_refused import REFUSED

RIGHT = {name: getattr(route, name) for name in route.__all__ if name != "KroneckerFactors"}
CROSS_ENTROPY, GAUSSIAN = "mlp-CrossEntropyLoss-mean", "mlp-MSELoss-mean"
F64: dict[str, Any] = {"dtype": torch.float64}
WHITELIST = "fishergauge.reference.backpack_run.require_support"


@dataclass(frozen=True)
class Plant:
    """A test, what is replaced by what, and the arguments of the case that must turn red.

    Args:
        defect: in words.
        target: a function of the route by its name there, or a dotted path.
    """

    test: Callable[..., None]
    defect: str
    target: str
    wrong: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.test.__name__}-{self.defect.replace(' ', '-')}"


def plant(test: Callable[..., None], defect: str, target: str, wrong: Callable[..., Any], **arguments: Any) -> Plant:
    """A row of the table."""
    return Plant(test, defect, target, wrong, arguments)


def _changed(name: str, change: Callable[[Problem, Any], Any]) -> Callable[..., Any]:
    """The right function with its result changed."""
    return lambda problem, *arguments: change(problem, RIGHT[name](problem, *arguments))


def _times_samples(problem: Problem, result: Tensor) -> Tensor:
    """A factor N: 1/N missing under ``mean``."""
    return problem.num_samples * result


def _scaled_factors(problem: Problem, factors: route.KroneckerFactors) -> route.KroneckerFactors:
    """Each Kronecker factor off by one per cent."""
    return {name: tuple(1.01 * factor for factor in pair) for name, pair in factors.items()}


def _swapped(factors: route.KroneckerFactors) -> Tensor:
    """A kron G."""
    result: Tensor = RIGHT["kronecker_block_diagonal"]({name: pair[::-1] for name, pair in factors.items()})
    return result


def _asymmetric(problem: Problem, matrix: Tensor) -> Tensor:
    return matrix + 1e-15 * matrix.abs().max() * torch.triu(torch.ones_like(matrix), 1)


def _first_batch(name: str) -> Callable[[Problem], Any]:
    return lambda problem: RIGHT[name](Problem(problem.model, problem.loss, problem.batches[:1], problem.name))


def _refuses(*_: object) -> Tensor:
    raise UnsupportedError("BackPACK's SqrtGGNExact does not support anything")


def _accepts(problem: Problem, *_: object) -> Tensor:
    return problem.vector


def _without_randomness(problem: Problem, samples: int, generator: torch.Generator) -> Tensor:
    """Seeded anew at every call."""
    result: Tensor = RIGHT["backpack_monte_carlo_fisher"](problem, samples, torch.Generator().manual_seed(0))
    return result


def _with_a_graph(problem: Problem, vectors: Tensor) -> Tensor:
    result: Tensor = RIGHT["backpack_ggn_product"](problem, vectors)
    return result.detach().requires_grad_()


def _leaves_gradients(problem: Problem) -> Tensor:
    problem.loss(problem.model(problem.inputs), problem.targets).backward()
    result: Tensor = RIGHT["backpack_ggn"](problem)
    return result


def _draws_globally(problem: Problem) -> Tensor:
    torch.rand(())
    result: Tensor = RIGHT["backpack_ggn"](problem)
    return result


def _leaves_a_handle(problem: Problem) -> Tensor:
    CTX.hook_handles.append(torch.nn.Identity().register_forward_hook(lambda *_: None))
    result: Tensor = RIGHT["backpack_ggn"](problem)
    return result


def _scale(name: str, change: Callable[[Problem, Any], Any] = _times_samples) -> tuple[str, Callable[..., Any]]:
    return f"backpack_{name}", _changed(f"backpack_{name}", change)


SCALED_KFLR = _scale("kflr", _scaled_factors)
MEETS, KNOWN = agreement.test_three_routes_meet_on_the_zoo, agreement.test_the_supported_problems_of_the_zoo_are_known
REFERENCE = agreement.test_quantity_equals_the_reference_or_is_refused
MOMENTS = monte_carlo.test_estimates_are_second_moments_at_drawn_labels
UNTOUCHED = untouched.test_a_computation_leaves_everything_as_it_was

AGREEMENT = [
    *[plant(test, "scale of N", *_scale(q), quantity=q, name=name, **more)
      for q in QUANTITIES if q != "kflr"
      for test, name, more in ((REFERENCE, CROSS_ENTROPY, F64), (MEETS, "mlp-tanh-gaussian", {"reduction": "mean"}),
                               (agreement.test_three_routes_meet_on_the_zoo_in_float32, "mlp-relu-softmax", {}))],
    plant(REFERENCE, "factors off", *SCALED_KFLR, quantity="kflr", name="conv2d", **F64),
    plant(MEETS, "factors off", *SCALED_KFLR, quantity="kflr", name="softmax-regression", reduction="mean"),
    plant(REFERENCE, "asymmetry of 1e-15", *_scale("ggn", _asymmetric), quantity="ggn", name=CROSS_ENTROPY, **F64),
    plant(REFERENCE, "whitelist disabled", WHITELIST, lambda *_: None, quantity="empirical_fisher", name="positions", **F64),
    plant(MEETS, "GGN sold as Hessian", "backpack_hessian_product", RIGHT["backpack_ggn_product"],
          quantity="hessian_product", name="attention", reduction="sum"),
    plant(MEETS, "a graph left on the result", "backpack_ggn_product", _with_a_graph,
          quantity="ggn_product", name="linear-regression", reduction="mean"),
    plant(KNOWN, "all refused", "backpack_ggn", _refuses, quantity="ggn", reduction="mean"),
    plant(KNOWN, "whitelist disabled", WHITELIST, lambda *_: None, quantity="ggn_diagonal", reduction="mean"),
    *[plant(agreement.test_batches_are_one_data_set, "first batch only", f"backpack_{q}", _first_batch(f"backpack_{q}"),
            quantity=q, reduction="mean") for q in EXTENSIONS],
    plant(agreement.test_input_factors_are_second_moments_of_inputs, "factors off", *SCALED_KFLR, name="conv2d", **F64),
    *[plant(test, "A kron G", "kronecker_block_diagonal", _swapped, **more) for test, more in (
        (agreement.test_kflr_of_one_sample_is_exact, {"loss": torch.nn.MSELoss()}),
        (agreement.test_kflr_of_softmax_regression_is_its_closed_form, {}),
        (agreement.test_kronecker_blocks_are_row_major, {}))],
    plant(agreement.test_kflr_of_one_sample_is_exact, "factors off", *SCALED_KFLR, loss=torch.nn.MSELoss()),
]  # fmt: skip

DRAWS = [
    *[plant(MOMENTS, f"{q} off", *_scale(q, change), name=name, **F64) for name in (CROSS_ENTROPY, GAUSSIAN, "positions")
      for q, change in (("monte_carlo_fisher", _times_samples), ("monte_carlo_fisher_diagonal", _times_samples),
                        ("kfac", _scaled_factors))],
    plant(monte_carlo.test_the_estimate_is_unbiased, "bias of ten per cent",
          *_scale("monte_carlo_fisher", lambda _, matrix: 1.1 * matrix), name=CROSS_ENTROPY),
    plant(monte_carlo.test_the_estimate_is_unbiased, "empirical Fisher sold as an estimate", "backpack_monte_carlo_fisher",
          lambda problem, *_: RIGHT["backpack_empirical_fisher"](problem), name=GAUSSIAN),
    plant(monte_carlo.test_the_estimate_follows_its_generator, "a fixed seed", "backpack_monte_carlo_fisher",
          _without_randomness),
    *[plant(test, "nothing refused", name, _accepts, function=name, **more) for name in monte_carlo.FUNCTIONS
      for test, more in ((monte_carlo.test_an_estimate_without_a_likelihood_is_refused, {"name": "class-weights"}),
                         (monte_carlo.test_no_samples_and_squared_error_at_positions_are_refused, {}))],
]  # fmt: skip

COLUMNS = [
    *[plant(products.test_products_are_those_of_the_matrix, "scale of N", *_scale(q), name=name, columns=3, product=q)
      for q, name in (("hessian_product", "encoder-layer"), ("ggn_product", "encoder-layer"))],
    plant(products.test_products_are_those_of_the_matrix, "GGN sold as Hessian", "backpack_hessian_product",
          RIGHT["backpack_ggn_product"], name="recurrent", columns=None, product="hessian_product"),
    plant(products.test_quantities_are_computed_without_gradients_being_enabled, "scale of N", *_scale("ggn_product")),
    *[plant(test, "any vector accepted", f"backpack_{q}", _accepts, product=q) for q in PRODUCTS
      for test in (products.test_other_shapes_are_refused, products.test_what_has_no_second_derivative_is_refused)],
]  # fmt: skip

REFUSALS = [
    *[plant(refusals.test_an_unsupported_problem_is_refused, "whitelist disabled", WHITELIST, lambda *_: None, name=name)
      for name, entry in REFUSED.items() if entry.wrong],
    *[plant(refusals.test_backpack_would_be_wrong, "BackPACK mended", "backpack_ggn",
            lambda problem: reference.ggn(problem).dense(), name=name, quantity="ggn") for name in ("hook", "masked")],
    plant(refusals.test_dropout_in_training_is_refused, "whitelist disabled", WHITELIST, lambda *_: None),
]  # fmt: skip

TRACES = [
    *[plant(UNTOUCHED, defect, "backpack_ggn", wrong, call="ggn", **F64)
      for defect, wrong in (("accumulates gradients", _leaves_gradients), ("draws from the global generator", _draws_globally),
                            ("leaves a handle", _leaves_a_handle))],
    plant(untouched.test_a_failed_computation_leaves_everything_as_it_was, "leaves a handle", "backpack_ggn", _leaves_a_handle,
          call="ggn"),
]  # fmt: skip

PLANTS = AGREEMENT + DRAWS + COLUMNS + REFUSALS + TRACES


@pytest.mark.parametrize("plant", PLANTS, ids=[f"{number}-{plant}" for number, plant in enumerate(PLANTS)])
def test_the_planted_defect_turns_the_test_red(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = dict(plant.arguments)
    if "monkeypatch" in inspect.signature(plant.test).parameters:
        arguments["monkeypatch"] = monkeypatch
    plant.test(**arguments)
    monkeypatch.setattr(plant.target if "." in plant.target else f"fishergauge.reference.backpack.{plant.target}", plant.wrong)
    handles = len(CTX.hook_handles)
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception)):  # a crash is neither
            plant.test(**arguments)
    finally:
        del CTX.hook_handles[handles:]


def test_no_test_of_the_route_is_without_its_planted_defect() -> None:
    tests: dict[str, Callable[..., None]] = {}
    for module in pkgutil.iter_modules(suites.__path__):
        if module.name.startswith("test_backpack_"):
            found = vars(importlib.import_module(f"fishergauge.suites.{module.name}"))
            tests |= {f"{module.name}.{name}": test for name, test in found.items() if name.startswith("test_")}
    assert len(tests) > 15
    missing = [name for name, test in tests.items() if test not in {plant.test for plant in PLANTS}]
    assert not missing, f"never seen to fail: {missing}"
