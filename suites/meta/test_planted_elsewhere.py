"""The tests that do not take the quantities as an argument turn red on a planted defect as well, and are green without it."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.func import functional_call

from fishergauge import suites
from fishergauge.reference import Problem
from fishergauge.reference.bernoulli import Bernoulli
from fishergauge.reference.categorical import Categorical
from fishergauge.reference.gaussian import Gaussian
from fishergauge.suites import gates
from fishergauge.suites import test_bad_problems as bad
from fishergauge.suites import test_confidence as confidence
from fishergauge.suites import test_devices as devices
from fishergauge.suites import test_gates as tests_of_gates
from fishergauge.suites import test_likelihoods as likelihoods
from fishergauge.suites import test_paper_claims as paper
from fishergauge.suites import test_steps as steps
from fishergauge.suites import test_structure as structure
from fishergauge.suites import test_untouched as untouched


@dataclass(frozen=True)
class Plant:
    """A test, the owner and the name of what is replaced, the replacement, and the arguments of the case."""

    test: Callable[..., None]
    owner: Any
    name: str
    wrong: Any
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.test.__name__}-{self.name}"


def plant(test: Callable[..., None], owner: Any, name: str, wrong: Any, **arguments: Any) -> Plant:
    """A row of the table."""
    return Plant(test, owner, name, wrong, arguments)


def _nothing(*_: Any, **__: Any) -> None:
    """Checks nothing, refuses nothing."""


def _scaled(owner: Any, name: str) -> Callable[..., Any]:
    right = getattr(owner, name)
    return lambda *args, **kwargs: 1.01 * right(*args, **kwargs)


def _loose_gate_a(matrix: torch.Tensor, threshold: float = 1e-8) -> gates.GateA:
    """Passes whatever comes."""
    return gates.GateA(True, 0.0, 1.0, -threshold)


def _loose_gate_b(ratios: torch.Tensor, low: float = 0.8, high: float = 1.2) -> gates.GateB:
    return gates.GateB(True, 1.0, 1.0)


def _loose_gate_c(logits: Mapping[float, torch.Tensor], threshold: float = 1e-5) -> gates.GateC:
    return gates.GateC(True, 0.0, {})


def _wrong_enumeration(self: Any, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All labels equally likely."""
    labels = torch.arange(outputs.shape[1])[:, None].expand(outputs.shape[1], len(outputs))
    return torch.full_like(outputs.T, 1 / outputs.shape[1]), labels


def _in_place(self: Problem, vector: torch.Tensor) -> Problem:
    """Moves the problem itself instead of a copy."""
    with torch.no_grad():
        for parameter in self.parameters.values():
            parameter.add_(1)
    return self


GATES = [
    *[plant(tests_of_gates.test_gate_a_stands_at_its_threshold, tests_of_gates, "gate_a", _loose_gate_a, threshold=t)
      for t in gates.GATE_A_THRESHOLDS],
    *[plant(test, tests_of_gates, "gate_a", _loose_gate_a) for test in (
        tests_of_gates.test_gate_a_thresholds_of_the_two_notebooks_disagree_between_them,
        tests_of_gates.test_gate_a_examines_the_symmetric_part_and_reports_the_extremes,
        tests_of_gates.test_gate_a_refuses_what_is_no_square_matrix)],
    plant(tests_of_gates.test_gate_a_fails_what_is_not_finite, tests_of_gates, "gate_a", _loose_gate_a, entry=float("nan")),
    *[plant(test, tests_of_gates, "gate_b", _loose_gate_b) for test in (
        tests_of_gates.test_gate_b_stands_at_both_ends, tests_of_gates.test_gate_b_needs_something_to_judge)],
    *[plant(test, tests_of_gates, "gate_c", _loose_gate_c) for test in (
        tests_of_gates.test_gate_c_names_the_condition_numbers_that_fail,
        tests_of_gates.test_gate_c_refuses_to_compare_nothing)],
]  # fmt: skip

KINDS = {"squared": Gaussian, "categorical-weights-smoothing": Categorical, "binary-weights": Bernoulli}
LIKELIHOODS = [
    *[plant(likelihoods.test_terms_over_the_divisor_are_the_loss_of_torch, kind, "values", _scaled(kind, "values"), case=case)
      for case, kind in KINDS.items()],
    *[plant(likelihoods.test_residuals_and_hessians_are_the_derivatives, kind, name, _scaled(kind, name), case=case)
      for case, kind in KINDS.items() for name in ("residuals", "hessian_root")],
    plant(likelihoods.test_enumerated_labels_reproduce_the_output_hessian, Categorical, "enumerate", _wrong_enumeration,
          case="categorical"),
    *[plant(likelihoods.test_samples_have_the_frequencies_of_the_distribution, kind, "sample", wrong, case=case)
      for case, kind, wrong in (
          ("squared", Gaussian, lambda _, z, draws, source: z + torch.randn(draws, *z.shape, generator=source).double()),
          ("categorical", Categorical, lambda _, z, draws, source: z.argmax(-1).expand(draws, len(z))),
          ("binary", Bernoulli, lambda _, z, draws, source: (z > 0).double().expand(draws, *z.shape)))],
    plant(likelihoods.test_too_many_binary_labels_are_not_enumerated, Bernoulli, "enumerate", _nothing),
    *[plant(confidence.test_a_tiny_divergence_keeps_its_relative_accuracy, confidence, "categorical_kl",
            lambda z, w: (z.softmax(-1) * (z.log_softmax(-1) - w.log_softmax(-1))).sum(-1), dtype=dtype)
      for dtype in (torch.float32, torch.float64)],
    plant(confidence.test_a_large_divergence_is_finite_and_right, confidence, "categorical_kl",
          lambda z, w: torch.log1p((z.softmax(-1) * torch.expm1(w - z)).sum(-1))),
    plant(confidence.test_complements_do_not_cancel, confidence, "complements", lambda p: 1 - p),
    plant(paper.test_the_published_kl_of_a_model_from_itself_is_the_number_of_classes_less_one_times_its_floor, paper,
          "categorical_kl", lambda z, w: (z - w).sum(-1) + 9e-10, classes=10),
]  # fmt: skip

REFUSALS = [
    *[plant(bad.test_a_malformed_problem_is_refused, Problem, "__post_init__", _nothing, case=case) for case in bad.CASES],
    plant(bad.test_a_model_that_mixes_samples_is_refused_when_rows_are_asked_for,
          importlib.import_module("fishergauge.reference.jacobian"), "same_outputs", lambda *_: True),
    plant(bad.test_random_outputs_are_refused_when_rows_are_asked_for,
          importlib.import_module("fishergauge.reference.jacobian"), "same_outputs", lambda *_: True),
    plant(bad.test_vectors_of_a_wrong_length_are_refused, Problem, "unflatten", _nothing),
    plant(bad.test_an_unusual_but_right_problem_is_accepted, bad, "gradient", lambda _: torch.zeros(8)),
    plant(structure.test_layers_join_weight_and_bias_and_parameters_do_not, structure, "block_slices", lambda *_: {}),
    plant(structure.test_a_wrong_block_layout_is_refused_by_name, structure, "block_slices", lambda *_: {}),
    plant(steps.test_lengths_are_found_from_far_away_and_for_several_targets, steps, "matched_length",
          lambda kl, target, guess: guess),
    plant(steps.test_senseless_targets_and_guesses_are_refused, steps, "matched_length", _nothing, target=-1.0, guess=1.0),
    plant(untouched.test_a_problem_at_other_parameters_leaves_the_first_alone, Problem, "at", _in_place),
    plant(untouched.test_a_module_under_two_names_keeps_its_parameters,
          importlib.import_module("fishergauge.reference.jacobian"), "called_at",
          lambda model, _: lambda values, arguments: functional_call(model, values, arguments)),
    plant(devices.test_a_missing_device_is_an_error_and_not_a_skip, devices, "require", _nothing),
    plant(devices.test_a_visible_device_counts_and_availability_alone_does_not, devices, "devices", lambda: ["cpu", "cuda"]),
    plant(devices.test_hidden_devices_leave_the_suites_usable, sys, "executable", "echo"),
]  # fmt: skip

OWN_CONTROLS = {
    "test_adahessian": "wrong diagonals, moments and options stand beside the right ones",
    "test_conformance": "its checks are those of the kit, whose defects are planted in suites/meta/bank",
    "test_coordinates": "a Jacobian that is off by little, and fits that must not be linear, stand beside the right ones",
    "test_evolution_strategies": "plain gradients, other weights and other coordinates stand beside each check",
    "test_families_fisher_information": "wrong closed forms, and families that must be refused",
    "test_families_gaussian": "factors, halves, transposes and other coordinates that must differ",
    "test_families_refusals": "what must be refused stands beside what must pass",
    "test_families_regression": "other variances, reductions and labels that must differ",
    "test_families_torch_normalisers": "a log-normaliser that is off by one per cent",
    "test_gradient_graph": "another matrix, and products that evaluate again",
    "test_invariance_controls": "what promises too much, and too little",
    "test_invariance_pseudo_inverse": "each statement stands beside the kernel, cut-off or damping that breaks it",
    "test_invariance_spectrum": "groups written by hand; what must fail stands in test_invariance_controls",
    "test_invariance_transport": "matrices that pass when transported must fail when computed anew",
    "test_kfac": "each theorem is tested beside the case in which it must fail",
    "test_kfac_optimizer": "the reference's factors and simulated runs, beside other labels, damping and schedules",
    "test_kfac_relatives": "compared with plain loops, formulas and BackPACK, and with what must differ",
    "test_kronecker_sum": "a lost pair, a sum without symmetry, one that holds all samples at once",
    "test_laplace_calibration": "grid, long chains and quadrature, beside wrong posteriors",
    "test_laplace_coordinates": "priors that are mapped by another matrix, or not at all",
    "test_laplace_evidence": "gradients that forget a term, and evidences with a wrong sign or variance",
    "test_laplace_exact": "conjugate Bayes and a Gaussian process, beside factors, reductions and priors that are wrong",
    "test_laplace_precision": "wrong factors, roots and priors stand beside the right ones",
    "test_laplace_predictive": "standard deviations for variances, wrong roots, a wrong batching rule",
    "test_laplace_refusals": "what must be refused stands beside what must pass",
    "test_laplace_samples": "wrong roots and correlated draws are noticed",
    "test_last_layer": "the neighbouring block, and the marginal covariance, must differ",
    "test_layer_evaluations": "a use that one sample hides, hooks that change a call, a pass to the weights",
    "test_layer_maps": "compared with plain loops, and with maps that are transposed or swapped",
    "test_layer_statistics": "compared with Jacobians, and with patches in another order",
    "test_layered_routes": "transposed factors, noise in every product, and the dearer route stand beside the right ones",
    "test_linearization": "a product that evaluates again, the other sign, a matrix made anew",
    "test_low_rank": "other ranks, columns and dampings must differ",
    "test_merged_fisher": "means of means, swapped counts and zero matrices must fail",
    "test_mirror_descent": "gradient descent, the same coordinates, the other order, and a wrong potential",
    "test_natural_gradient_descent": "inverted rules, other curvatures, thresholds and batches must differ",
    "test_policy_gradient": "the plain gradient, wrong factors, mixed episodes and the undetached divergence must fail",
    "test_reparametrization": "wrong maps are planted beside the checks",
    "test_reparametrized_models": "defects of the maps are planted, and noticed by the maps themselves",
    "test_sample_gradients": "compared with one backward pass a sample; halved rows must differ",
    "test_sample_wise": "models that mix samples, which must be refused, and an evaluation too many",
    "test_shampoo_optimizer": "dense roots and closed forms, beside wrong exponents and statistics",
    "test_step_options": "other curvatures, factors and batches stand beside the right ones",
    "test_step_refusals": "what must be refused stands beside what must pass",
    "test_truncated_conjugate_gradients": "fewer steps, steepest descent and other thresholds must fail",
    "test_variance_reduced_fisher": "half a control variate and unscaled minibatches must fail",
    "test_variational_inference": "plain gradients, half steps, no prior, and Laplace's point",
    "test_zoo": "planted in suites/meta/zoo_plants",
}
"""Modules whose tests hold their own controls, and which."""

PLANTS = GATES + LIKELIHOODS + REFUSALS


@pytest.mark.parametrize("plant", PLANTS, ids=[f"{number}-{plant}" for number, plant in enumerate(PLANTS)])
def test_the_planted_defect_turns_the_test_red(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = dict(plant.arguments)
    if "monkeypatch" in inspect.signature(plant.test).parameters:
        arguments["monkeypatch"] = monkeypatch
    plant.test(**arguments)
    monkeypatch.setattr(plant.owner, plant.name, plant.wrong)
    with pytest.raises((AssertionError, pytest.fail.Exception)):  # a crash is neither
        plant.test(**arguments)


def test_no_other_test_is_without_its_planted_defect() -> None:
    tests: dict[str, Callable[..., None]] = {}
    for module in pkgutil.iter_modules(suites.__path__):
        apart = module.name.startswith("test_backpack_") or module.name in OWN_CONTROLS
        if module.name.startswith("test_") and not apart:
            for name, test in vars(importlib.import_module(f"fishergauge.suites.{module.name}")).items():
                is_test = name.startswith("test_") and not hasattr(test, "hypothesis")
                if is_test and "quantities" not in inspect.signature(test).parameters:
                    tests[f"{module.name}.{name}"] = test
    assert len(tests) > 20
    missing = [name for name, test in tests.items() if test not in {plant.test for plant in PLANTS}]
    assert not missing, f"never seen to fail: {missing}"
