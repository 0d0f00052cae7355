"""Which planted defect turns which test red: one row for every test that examines the quantities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from fishergauge import reference
from fishergauge.suites import (
    test_axioms,
    test_confidence,
    test_devices,
    test_divergence,
    test_fisher_is_ggn,
    test_monte_carlo,
    test_newton_equivalence,
    test_piecewise_linear,
    test_psd,
    test_softmax_regression,
    test_solvers,
    test_steps,
    test_structure,
    test_three_routes,
    test_untouched,
)
from fishergauge.suites.meta import altered as a
from fishergauge.suites.meta import defects as d
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.random_problem import Shape

RIGHT = d.RIGHT


@dataclass(frozen=True)
class Plant:
    """A test, the quantities with a defect, and the arguments of the case that must turn red."""

    test: Callable[..., None]
    defect: str
    quantities: Quantities
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.test.__name__}-{self.defect.replace(' ', '-')}"


def plant(test: Callable[..., None], defect: str, quantities: Quantities, **arguments: Any) -> Plant:
    """A row of the table."""
    return Plant(test, defect, quantities, arguments)


def with_quantity(name: str, quantity: Callable[..., Any]) -> Quantities:
    """The right quantities but one."""
    changed: dict[str, Any] = {name: quantity}
    return replace(RIGHT, **changed)


def accepts_anything(*_: Any, **__: Any) -> Any:
    """Refuses nothing."""
    return torch.zeros(2)


FACTOR_N = d.all_matrices(a.times_samples)
TWO_PER_CENT = d.all_matrices(a.scaled(1.02))
PER_CENT = d.all_matrices(a.scaled(1.01))
FAVOURED = d.all_matrices(a.first_parameter_favoured)
COLUMNS = d.all_matrices(a.column_major)
FLOAT64 = {"dtype": torch.float64}
SHAPE = Shape(samples=4, features=3, hidden=2, outputs=3, positions=0, bias=True, loss="categorical", reduction="mean", seed=1)
SIZES = {"samples": 4, "width": 3, "classes": 2, "seed": 1}
UNSOLVED = replace(RIGHT, **d.UNSOLVED)
EMPTY = replace(RIGHT, **dict.fromkeys((*d.MATRICES, "monte_carlo_fisher", "kl_divergence"), accepts_anything))

ROUTES = [
    plant(test_three_routes.test_matrix_equals_the_oracle, "scale off by one per cent", PER_CENT,
          name="mlp-tanh-softmax", reduction="mean", quantity="ggn"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "asymmetry of 1e-6", d.all_matrices(a.asymmetric),
          name="cnn", reduction="sum", quantity="hessian"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "float32 inside float64", d.all_matrices(a.rounded),
          name="mlp-tanh-gaussian", reduction="mean", quantity="fisher"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "Kronecker order", COLUMNS,
          name="softmax-regression", reduction="mean", quantity="fisher"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "bias lost", d.all_matrices(a.last_bias_lost),
          name="mlp-relu-softmax", reduction="mean", quantity="empirical_fisher"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "mean of batch means", d.all_matrices(a.per_batch),
          name="softmax-uneven-batches", reduction="mean", quantity="ggn"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "masked labels counted",
          replace(RIGHT, ggn=d.ignored_labels_counted), name="attention", reduction="mean", quantity="ggn"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "lost - p p'", replace(RIGHT, ggn=d.lost_outer_product),
          name="conv1d-tagging", reduction="mean", quantity="ggn"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "square of the mean gradient",
          replace(RIGHT, empirical_fisher=d.batch_gradient_as_sample),
          name="mlp-tanh-softmax", reduction="mean", quantity="empirical_fisher"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "GGN sold as Hessian", replace(RIGHT, hessian=reference.ggn),
          name="mlp-sigmoid-binary", reduction="mean", quantity="hessian"),
    plant(test_three_routes.test_matrix_equals_the_oracle, "a Fisher of a weighted loss", EMPTY,
          name="class-weights", reduction="mean", quantity="fisher"),
    plant(test_three_routes.test_matrix_in_float32_equals_the_oracle_in_float64, "scale off by one per cent", PER_CENT,
          name="attention", quantity="hessian"),
    plant(test_three_routes.test_gradient_equals_one_backward_pass, "gradient times N",
          replace(RIGHT, gradient=lambda p: p.num_samples * reference.gradient(p)),
          name="mlp-tanh-softmax", reduction="mean", dtype=torch.float32),
    *[plant(test_structure.test_products_are_those_of_the_dense_matrix, "product off", d.all_operations("_products"),
            name="mlp-tanh-softmax", quantity=q) for q in test_structure.MATRICES],
    *[plant(test_structure.test_blocks_diagonal_and_trace_are_those_of_the_dense_matrix, f"{o} off", d.all_operations(o),
            name="mlp-tanh-softmax", quantity="fisher") for o in ("diagonal", "blocks")],
    plant(test_structure.test_dense_matrix_is_exactly_symmetric, "asymmetry of 1e-6", d.all_matrices(a.asymmetric),
          name="cnn", quantity="ggn"),
    plant(test_structure.test_a_product_with_a_wrong_shape_is_refused, "any shape accepted",
          replace(RIGHT, ggn=lambda p: a.AnyShape(p, torch.eye(p.num_parameters))), shape=(11,)),
]  # fmt: skip

DEFINITE = [
    *[plant(test_psd.test_second_moments_pass_gate_a, "negative eigenvalue", d.all_matrices(a.indefinite),
            name="mlp-relu-softmax", quantity=q, dtype=t)
      for q in ("ggn", "empirical_fisher") for t in (torch.float64, torch.float32)],
    *[plant(test_psd.test_fishers_pass_gate_a, "negative eigenvalue", d.all_matrices(a.indefinite), name="cnn", quantity=q)
      for q in ("fisher", "fisher_type2", "monte_carlo_fisher")],
    plant(test_psd.test_rank_of_softmax_regression, "lost - p p'",
          replace(RIGHT, softmax_regression_fisher=lambda x, z: torch.eye(x.shape[1] * z.shape[1]).double()),
          samples=3, width=4, classes=3),
    plant(test_psd.test_common_shift_of_the_logits_lies_in_the_kernel, "lost - p p'",
          replace(RIGHT, fisher=d.lost_outer_product)),
    plant(test_newton_equivalence.test_fisher_equals_ggn_equals_hessian, "empirical Fisher sold as Fisher",
          replace(RIGHT, fisher=reference.empirical_fisher), name="logistic-regression", reduction="mean"),
    plant(test_newton_equivalence.test_fisher_equals_ggn_equals_hessian, "factor N in the GGN",
          replace(RIGHT, ggn=FACTOR_N.ggn), name="scalar-regression", reduction="sum"),
    plant(test_newton_equivalence.test_least_squares_is_solved_by_one_step_of_length_one, "factor N", FACTOR_N,
          name="linear-regression", reduction="mean"),
    plant(test_newton_equivalence.test_logistic_step_is_that_of_iteratively_reweighted_least_squares,
          "empirical Fisher sold as Fisher", replace(RIGHT, fisher=reference.empirical_fisher), reduction="sum"),
    plant(test_newton_equivalence.test_softmax_step_is_newtons_step, "scale off by one per cent",
          replace(RIGHT, fisher=PER_CENT.fisher), name="softmax-regression"),
    plant(test_newton_equivalence.test_logistic_steps_converge_quadratically, "scale off by one per cent", PER_CENT),
    plant(test_piecewise_linear.test_layer_blocks_of_ggn_and_hessian_are_equal, "scale off by one per cent", PER_CENT,
          name="mlp-relu-softmax", reduction="mean"),
    plant(test_piecewise_linear.test_the_whole_matrices_differ, "GGN sold as Hessian", replace(RIGHT, hessian=reference.ggn),
          name="deep-linear"),
    plant(test_piecewise_linear.test_the_first_blocks_of_smooth_networks_differ, "GGN sold as Hessian",
          replace(RIGHT, hessian=reference.ggn), name="mlp-tanh-softmax"),
]  # fmt: skip

LABELS = [
    plant(test_fisher_is_ggn.test_both_types_of_fisher_equal_the_ggn,
          "one type only scaled", replace(RIGHT, fisher_type2=PER_CENT.fisher_type2),
          name="cnn", reduction="mean", dtype=torch.float32),
    plant(test_fisher_is_ggn.test_a_weighted_objective_has_no_fisher, "a Fisher of a weighted loss", EMPTY,
          name="class-weights", reason="class weights", quantity="fisher"),
    plant(test_fisher_is_ggn.test_observed_labels_do_not_matter, "empirical Fisher sold as Fisher",
          replace(RIGHT, fisher=reference.empirical_fisher), name="mlp-tanh-softmax", quantity="fisher"),
    plant(test_fisher_is_ggn.test_observed_labels_matter_to_the_empirical_fisher, "Fisher sold as empirical",
          replace(RIGHT, empirical_fisher=reference.fisher), name="softmax-regression"),
    plant(test_fisher_is_ggn.test_empirical_fisher_at_residuals_of_two_standard_deviations_is_four_times_the_fisher,
          "Fisher sold as empirical", replace(RIGHT, empirical_fisher=reference.fisher)),
    plant(test_fisher_is_ggn.test_empirical_fisher_vanishes_at_interpolation_and_the_fisher_does_not,
          "empirical Fisher sold as Fisher", replace(RIGHT, fisher=reference.empirical_fisher)),
    *[plant(test_monte_carlo.test_the_estimate_is_unbiased, "labels of largest probability called samples",
            replace(RIGHT, monte_carlo_fisher=d.most_likely_labels), kind=k, samples=1, note=print)
      for k in test_monte_carlo.KINDS],
    plant(test_monte_carlo.test_the_estimate_is_unbiased, "divided by S twice",
          replace(RIGHT, monte_carlo_fisher=d.over_samples), kind="categorical", samples=8, note=print),
    *[plant(test_monte_carlo.test_the_estimate_is_unbiased, "bias of 2 %",
            replace(RIGHT, monte_carlo_fisher=TWO_PER_CENT.monte_carlo_fisher), kind=k, samples=s, note=print)
      for k in test_monte_carlo.KINDS for s in (1, 8)],
    plant(test_monte_carlo.test_two_draws_differ_and_the_same_seed_repeats, "no draw at all",
          replace(RIGHT, monte_carlo_fisher=d.most_likely_labels), kind="categorical"),
    plant(test_monte_carlo.test_bad_requests_are_refused, "zero samples accepted", EMPTY),
]  # fmt: skip

DIVERGENCE = [
    *[plant(test_divergence.test_the_divergence_of_a_small_step_is_the_quadratic_form, name_, replace(RIGHT, kl_divergence=kl),
            name=problem)
      for problem in ("linear-regression", "mlp-tanh-softmax")
      for name_, kl in (("divergence from itself", d.reparametrised_divergence), ("factor 1/2", d.doubled_divergence))],
    plant(test_divergence.test_the_divergence_of_a_small_step_is_the_quadratic_form, "lost - p p'",
          replace(RIGHT, fisher=d.lost_outer_product), name="softmax-regression"),
    plant(test_divergence.test_the_divergence_from_itself_is_zero_and_otherwise_positive, "logarithms floored at 1e-10",
          replace(RIGHT, kl_divergence=d.floored_divergence), name="softmax-regression"),
    plant(test_divergence.test_the_divergence_from_itself_is_zero_and_otherwise_positive, "divergence of a model from itself",
          replace(RIGHT, kl_divergence=d.reparametrised_divergence), name="softmax-regression"),
    plant(test_divergence.test_the_divergence_agrees_with_torch_distributions, "factor 1/2",
          replace(RIGHT, kl_divergence=d.doubled_divergence), name="logistic-regression"),
    plant(test_divergence.test_a_weighted_objective_has_no_divergence, "a divergence of a weighted loss", EMPTY),
    *[plant(test_divergence.test_a_trust_region_step_has_the_prescribed_divergence, "factor 2, damping in one use",
            replace(RIGHT, trust_region_step=d.undamped_radius), name="mlp-tanh-softmax", damping=damping)
      for damping in (0.0, 0.1)],
    plant(test_divergence.test_a_matched_step_has_the_prescribed_true_divergence, "quadratic length sold as exact",
          replace(RIGHT, kl_matched_step=d.quadratic_matched_step), name="mlp-tanh-softmax", kl=1e-2),
]  # fmt: skip

CONFIDENCE = [
    *[plant(test_confidence.test_curvature_of_a_confident_softmax, "p - p p'", replace(RIGHT, ggn=d.cancelling_softmax),
            gap=gap, order=(0, 1, 2), dtype=dtype, quantity="ggn")
      for gap, dtype in ((20, torch.float32), (40, torch.float64))],
    plant(test_confidence.test_closed_form_of_a_confident_softmax, "p - p p'",
          replace(RIGHT, softmax_regression_fisher=d.cancelling_closed_form), gap=20, order=(0, 1, 2), dtype=torch.float32),
    plant(test_confidence.test_curvature_of_a_confident_binary_label, "s - s s", replace(RIGHT, fisher=d.cancelling_softmax),
          gap=40, dtype=torch.float64),
    plant(test_confidence.test_gradient_of_a_confident_and_correct_softmax, "p - e_y",
          replace(RIGHT, gradient=d.cancelling_residuals), gap=20, dtype=torch.float32),
    plant(test_confidence.test_empirical_fisher_of_a_confident_and_correct_softmax, "p - e_y",
          replace(RIGHT, empirical_fisher=d.cancelling_empirical_fisher), gap=20, dtype=torch.float32),
]  # fmt: skip

AXIOMS = [
    plant(test_axioms.test_all_matrices_equal_the_oracle, "scale off by one per cent", PER_CENT, shape=SHAPE),
    plant(test_axioms.test_sum_over_mean_is_the_number_that_the_mean_divides_by, "factor N under mean", d.all_matrices(
        lambda p, m: p.num_samples * m if p.loss.reduction == "mean" else m), shape=SHAPE),
    plant(test_axioms.test_batches_are_pieces_of_one_data_set, "mean of batch means", d.all_matrices(a.per_batch),
          shape=SHAPE, cuts={2}),
    plant(test_axioms.test_under_sum_disjoint_batches_add_up, "factor N", FACTOR_N, shape=SHAPE, first=2),
    plant(test_axioms.test_under_mean_duplicated_data_change_nothing, "factor N", FACTOR_N, shape=SHAPE, copies=2),
    plant(test_axioms.test_the_order_of_samples_does_not_matter, "only the first sample counts", d.all_matrices(
        lambda p, m: m * (1 + 0.1 * p.inputs.reshape(-1)[0].tanh())), shape=SHAPE, seed=1),
    plant(test_axioms.test_permuted_hidden_units_permute_the_matrix, "one entry favoured", FAVOURED, shape=SHAPE, seed=1),
    plant(test_axioms.test_permuted_classes_permute_the_matrix, "one entry favoured", FAVOURED, shape=SHAPE, seed=1),
    plant(test_axioms.test_a_masked_sample_is_an_absent_sample, "masked labels counted", FACTOR_N, shape=SHAPE, seed=1),
    plant(test_axioms.test_positions_are_samples, "positions counted by the layer", FACTOR_N, shape=SHAPE),
    plant(test_axioms.test_a_linear_layer_on_positions_is_a_convolution_of_width_one, "column-major weights", COLUMNS,
          shape=SHAPE),
    plant(test_axioms.test_gradients_of_samples_add_up_to_the_gradient, "gradient times N",
          replace(RIGHT, gradient=lambda p: p.num_samples * reference.gradient(p)), shape=SHAPE),
    plant(test_axioms.test_products_are_linear_and_symmetric, "asymmetry of 1e-6", d.all_matrices(a.asymmetric),
          shape=SHAPE, seed=1),
    *[plant(test_axioms.test_a_scaled_output_scales_the_curvature, "curvature without its unit", d.all_matrices(
        lambda _, m: m / m.norm()), quantity=q) for q in d.MATRICES if q != "fisher_type2"],
    plant(test_axioms.test_the_same_call_gives_the_same_answer_twice, "damping added in place",
          replace(RIGHT, ggn=d.growing_damping()), name="mlp-tanh-softmax", quantity="ggn"),
    plant(test_axioms.test_a_flattened_convolution_over_the_whole_input_is_a_linear_layer, "column-major weights", COLUMNS),
    plant(test_untouched.test_a_computation_leaves_everything_as_it_was, "accumulates gradients",
          replace(RIGHT, ggn=d.leaves_gradients), name="batch-norm", call="ggn"),
    plant(test_untouched.test_a_computation_leaves_everything_as_it_was, "draws from the global generator",
          replace(RIGHT, fisher=d.draws_globally),
          name="attention", call="fisher"),
    plant(test_untouched.test_a_failed_computation_leaves_everything_as_it_was, "leaves a hook",
          replace(RIGHT, ggn=d.leaves_a_hook), call="ggn"),
    plant(test_devices.test_matrices_on_a_device_are_those_of_the_cpu, "product off", d.all_operations("_products"),
          device="cpu", name="mlp-tanh-softmax", quantity="ggn"),
    plant(test_devices.test_steps_and_samples_stay_on_their_device, "another device",
          replace(RIGHT, softmax_regression_fisher=lambda *_: torch.zeros(2, device="meta")), device="cpu"),
]  # fmt: skip

SOLVERS = [
    plant(test_solvers.test_pseudo_inverse_satisfies_the_four_conditions_of_penrose, "matrix returned",
          replace(RIGHT, pseudo_inverse=d.transposed_inverse), rank=4, **FLOAT64),
    plant(test_solvers.test_solution_off_the_range_is_that_of_the_pseudo_inverse, "gradient returned", UNSOLVED, **FLOAT64),
    plant(test_solvers.test_the_cutoff_decides_what_counts_as_zero, "cut-off ignored",
          replace(RIGHT, pseudo_inverse=lambda m, cutoff=None: reference.pseudo_inverse(m))),
    plant(test_solvers.test_the_zero_matrix_has_the_zero_inverse, "identity returned",
          replace(RIGHT, pseudo_inverse=lambda m: torch.eye(len(m)))),
    *[plant(test_solvers.test_damped_solutions_agree_by_three_ways, f"{name} returns the gradient",
            with_quantity(name, d.gradient_returned), damping=1.0, **FLOAT64)
      for name in ("solve_damped", "woodbury_solve", "conjugate_gradients")],
    plant(test_solvers.test_conjugate_gradients_work_with_products_alone, "gradient returned",
          replace(RIGHT, conjugate_gradients=d.gradient_returned)),
    plant(test_solvers.test_conjugate_gradients_give_the_least_norm_solution_on_the_range, "gradient returned",
          replace(RIGHT, conjugate_gradients=d.gradient_returned)),
    plant(test_solvers.test_what_cannot_be_solved_is_refused_by_name, "nothing refused", UNSOLVED),
    plant(test_solvers.test_a_bad_matrix_or_cutoff_is_refused, "nothing refused",
          replace(RIGHT, pseudo_inverse=accepts_anything), matrix=torch.zeros(2, 3), cutoff=None, message="square"),
    plant(test_steps.test_natural_gradient_step_by_hand, "plain gradient",
          replace(RIGHT, natural_gradient_step=d.negative_gradient)),
    plant(test_steps.test_newton_step_by_hand, "plain gradient", replace(RIGHT, newton_step=d.negative_gradient)),
    plant(test_steps.test_quadratic_length_by_hand, "factor 2",
          replace(RIGHT, quadratic_length=lambda *x: 2**0.5 * reference.quadratic_length(*x))),
    plant(test_steps.test_trust_region_step_by_hand, "factor 2", replace(RIGHT, trust_region_step=d.undamped_radius)),
    plant(test_steps.test_matched_step_of_a_linear_gaussian_model_is_the_quadratic_one, "factor 2",
          replace(RIGHT, kl_matched_step=lambda *x, **k: 2**0.5 * reference.kl_matched_step(*x, **k))),
    plant(test_steps.test_a_divergence_out_of_reach_is_refused, "quadratic length sold as exact",
          replace(RIGHT, kl_matched_step=d.quadratic_matched_step)),
    plant(test_softmax_regression.test_closed_forms_equal_the_general_ones, "scale off by one per cent",
          replace(RIGHT, softmax_regression_fisher=lambda x, z: 1.01 * reference.softmax_regression_fisher(x, z)), **SIZES),
    plant(test_softmax_regression.test_closed_forms_equal_the_general_ones, "gradients of the mean loss squared",
          replace(RIGHT, softmax_regression_empirical_fisher=lambda *x: torch.outer(
              *[reference.softmax_regression_gradient(*x)] * 2)), **SIZES),
    plant(test_softmax_regression.test_kfac_is_the_product_of_mean_factors,
          "A kron G", replace(RIGHT, softmax_regression_kfac=d.swapped_kfac), **SIZES),
    plant(test_softmax_regression.test_kfac_is_exact_for_equal_inputs_and_not_otherwise, "A kron G",
          replace(RIGHT, softmax_regression_kfac=d.swapped_kfac)),
    plant(test_softmax_regression.test_at_the_papers_size_the_fisher_is_assembled_by_matrix_products, "a loop over samples",
          replace(RIGHT, softmax_regression_fisher=d.looped_closed_form)),
    plant(test_softmax_regression.test_at_the_papers_size_the_fisher_is_assembled_by_matrix_products, "an array of N x CD x CD",
          replace(RIGHT, softmax_regression_fisher=d.cancelling_closed_form)),
    plant(test_softmax_regression.test_shapes_that_do_not_fit_are_refused, "any shape accepted",
          replace(RIGHT, softmax_regression_fisher=accepts_anything), inputs=torch.zeros(3, 2), logits=torch.zeros(4, 2)),
]  # fmt: skip

PLANTS = ROUTES + DEFINITE + LABELS + DIVERGENCE + CONFIDENCE + AXIOMS + SOLVERS
