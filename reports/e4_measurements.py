"""What E3 and E4 measure in a cell: rows of their tables."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, fisher, gradient
from fishergauge.reference.softmax_regression import softmax_regression_fisher
from fishergauge.reports.cell import Record
from fishergauge.reports.cost import Comparison, Cost, measure, seconds
from fishergauge.reports.data import DataSet
from fishergauge.reports.initial_parameters import initial_parameters
from fishergauge.reports.notebook_e4 import run_notebook_e4
from fishergauge.reports.recomputation import (
    METHODS,
    Step,
    dense_step,
    logits_bound,
    recomputed_step,
    rounding_bound,
)
from fishergauge.reports.reparametrisation import FAMILIES, Reparametrisation, reparametrisation
from fishergauge.reports.transport import (
    PLACEHOLDERS,
    Steps,
    deviations,
    published_matrix,
    transported_steps,
    without_shift,
)
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.gates import GATE_A_THRESHOLDS, gate_a, gate_c

ETA = 0.001
RCOND = 1e-8
PUBLISHED_METHODS = ("sgd", "exact", "kfac", "empirical")


def published_record(data: DataSet, seed: int, kappas: Sequence[float]) -> Record:
    """The notebook's protocol for its four methods, for the placeholders at the largest kappa, and its gates."""
    steps = transported_steps(data, seed, kappas, ETA, RCOND, PUBLISHED_METHODS)
    steps.update(transported_steps(data, seed, (kappas[0], kappas[-1]), ETA, RCOND, PLACEHOLDERS))
    rows = []
    for method, by_kappa in steps.items():
        reference = by_kappa[kappas[0]]
        shiftless = deviations({kappa: without_shift(step, data.num_classes) for kappa, step in by_kappa.items()})
        for kappa, deviation in deviations(by_kappa).items():
            largest = float(reference.abs().max())
            rows.append(
                {
                    "seed": seed,
                    "kappa": kappa,
                    "method": method,
                    "max_diff": deviation,
                    "relative": deviation / largest,
                    "max_diff_without_shift": shiftless[kappa],
                }
            )
    weight = initial_parameters(seed, data.num_features, data.num_classes, str(data.inputs.device))
    logits = data.inputs @ weight.T
    return {"rows": rows, "gate_a": _gate_a_rows(data, seed, logits), "gate_c": _gate_c_rows(data, seed, weight, kappas)}


def order_record(data: DataSet, seed: int, kappa: float) -> Record:
    """Deviation by the notebook's protocol at one kappa, absolute and relative to the step, for the three matrices."""
    methods = ("exact", "kfac", "empirical")
    steps = transported_steps(data, seed, (1.0, kappa), ETA, RCOND, methods)
    row: dict[str, Any] = {"seed": seed, "kappa": kappa}
    for method in methods:
        row[method] = deviations(steps[method])[kappa]
        row[f"{method}_relative"] = row[method] / float(steps[method][1.0].abs().max())
    return {"rows": [row]}


def corrected_record(data: DataSet, seed: int, kappas: Sequence[float]) -> Record:
    """Every approximation computed anew in every coordinates; the exact Fisher also by the generic route."""
    device = str(data.inputs.device)
    weight = initial_parameters(seed, data.num_features, data.num_classes, device)
    identity = reparametrisation("scaling", 1.0, data.num_features, device)
    references = {method: recomputed_step(method, data, weight, identity) for method in METHODS}
    rows = []
    for family in FAMILIES:
        for kappa in kappas[1:]:
            coordinates = reparametrisation(family, kappa, data.num_features, device)
            for method, reference in references.items():
                step = recomputed_step(method, data, weight, coordinates)
                rows.append(corrected_row(data, seed, coordinates, method, step, reference, references["exact"].rank))
    generic = []
    for family in FAMILIES:
        coordinates = reparametrisation(family, kappas[-1], data.num_features, device)
        generic.append({"seed": seed, **_generic_row(data, weight, coordinates, references["exact"])})
    return {"rows": rows, "generic": generic}


def corrected_row(
    data: DataSet, seed: int, coordinates: Reparametrisation, method: str, step: Step, reference: Step, full_rank: int
) -> dict[str, Any]:
    """Compare a step with that in the original coordinates, modulo common shifts of the logits."""
    difference = step.change - reference.change
    relative = float(difference.norm() / reference.change.norm())
    bound = rounding_bound(step, reference)
    eps = torch.finfo(step.raw.dtype).eps
    outputs = data.inputs @ reference.change.T
    return {
        "seed": seed,
        "family": coordinates.family,
        "kappa": coordinates.kappa,
        "method": method,
        "max_diff": ETA * float(difference.abs().max()),
        "relative": relative,
        "relative_max": float(difference.abs().max() / reference.change.abs().max()),
        "relative_outputs": float((data.inputs @ difference.T).abs().max() / outputs.abs().max()),
        "relative_with_shift": float((step.raw - reference.raw).norm() / reference.raw.norm()),
        "rank": step.rank,
        "reference_rank": reference.rank,
        "full_rank": full_rank,
        "condition": step.condition,
        "bound": bound,
        "slack": relative / bound,
        "slack_t13": relative / (10 * eps * step.condition),
        "status": status(relative, bound, step.rank, reference.rank),
    }


def status(deviation: float, bound: float, rank: int, reference_rank: int) -> str:
    """Whether a step is invariant: ``"holds"``, ``"violated"``, or ``"beyond float64"``.

    A congruence keeps the rank. Where fewer eigenvalues than in the original coordinates stand above the cut-off, some have
    sunk below P eps of the largest one: the condition number exceeds 1 / (P eps), and float64 cannot decide.
    """
    if rank < reference_rank:
        return "beyond float64"
    return "holds" if deviation <= bound else "violated"


def cutoff_record(data: DataSet, seed: int, kappas: Sequence[float]) -> Record:
    """The exact Fisher, computed anew in scaled coordinates, with the paper's cut-off 1e-8 and with P eps."""
    device = str(data.inputs.device)
    weight = initial_parameters(seed, data.num_features, data.num_classes, device)
    identity = reparametrisation("scaling", 1.0, data.num_features, device)
    rows = []
    for name, cutoff in (("paper", RCOND), ("P eps", None)):
        reference = recomputed_step("exact", data, weight, identity, cutoff)
        for kappa in kappas:
            coordinates = reparametrisation("scaling", kappa, data.num_features, device)
            step = recomputed_step("exact", data, weight, coordinates, cutoff)
            relative = float((step.change - reference.change).norm() / reference.change.norm())
            rows.append({"seed": seed, "kappa": kappa, "cutoff": name, "relative": relative})
            rows[-1].update(rank=step.rank, reference_rank=reference.rank)
    return {"rows": rows}


def baseline_record(data: DataSet, seeds: int, kappas: Sequence[float], task: str, methods: Sequence[str]) -> Record:
    """The notebook's algorithm against this package's at the same steps; the memory does not depend on the seed."""
    device = str(data.inputs.device)
    rows, costs = [], []
    peak = peak_bytes(lambda: run_notebook_e4(data, 0, kappas, ETA, RCOND, methods), device)
    for seed in range(seeds):
        arguments = (data, seed, kappas, ETA, RCOND, methods)
        by_notebook: Steps = {}
        by_package: Steps = {}
        time = seconds(partial(_keep, by_notebook, run_notebook_e4, arguments), device)
        fast = measure(partial(_keep, by_package, transported_steps, arguments), device, runs=3)
        slow = Cost(time, peak)
        reference = {method: steps[kappas[0]] for method, steps in by_notebook.items()}
        deviation = max(
            float((by_package[method][kappas[0]] - step).abs().max() / step.abs().max()) for method, step in reference.items()
        )
        costs.append(Comparison(task, seed, slow, fast, deviation).row())
        for method, steps in by_notebook.items():
            rows += [
                {"seed": seed, "kappa": kappa, "method": method, "max_diff": value}
                for kappa, value in deviations(steps).items()
            ]
    return {"rows": rows, "costs": costs}


def _keep(steps: Steps, function: Callable[..., Steps], arguments: tuple[Any, ...]) -> None:
    """Compute steps and keep them, so that a timed call need not be repeated."""
    steps.update(function(*arguments))


def _generic_row(data: DataSet, weight: Tensor, coordinates: Reparametrisation, reference: Step) -> dict[str, Any]:
    """The exact Fisher and gradient of the reparametrised model by automatic differentiation, against the closed forms."""
    z, phi = coordinates.features(data.inputs), coordinates.weight(weight)
    model = nn.Linear(data.num_features, data.num_classes, bias=False, device="meta")  # draws no initial weight
    model.weight = nn.Parameter(phi)
    problem = Problem(model, nn.CrossEntropyLoss(), [(z, data.targets)])
    matrix, closed = fisher(problem).dense(), softmax_regression_fisher(z, z @ phi.T)
    step = dense_step(matrix, gradient(problem).detach(), coordinates)
    deviation = float((step.change - reference.change).norm() / reference.change.norm())
    bound = rounding_bound(step, reference)
    return {
        "family": coordinates.family,
        "kappa": coordinates.kappa,
        "matrix_difference": float((matrix - closed).norm() / closed.norm()),
        "relative": deviation,
        "bound": bound,
        "slack": deviation / bound,
        "status": status(deviation, bound, step.rank, reference.rank),
    }


def _gate_a_rows(data: DataSet, seed: int, logits: Tensor) -> list[dict[str, Any]]:
    """Gate A with both thresholds on the three matrices, and on the exact one with a planted negative eigenvalue."""
    rows = []
    for method in ("exact", "kfac", "empirical"):
        matrix = published_matrix(method, data, logits, {})
        for threshold in GATE_A_THRESHOLDS:
            gate = gate_a(matrix, threshold)
            shift = 2 * threshold * gate.maximum
            planted = gate_a(matrix - shift * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device), threshold)
            rows.append(
                {
                    "seed": seed,
                    "method": method,
                    "threshold": threshold,
                    "passed": gate.passed,
                    "minimum": gate.minimum,
                    "maximum": gate.maximum,
                    "planted_passed": planted.passed,
                }
            )
    return rows


def _gate_c_rows(data: DataSet, seed: int, weight: Tensor, kappas: Sequence[float]) -> list[dict[str, Any]]:
    """Gate C as published (copies of one model) and corrected (reparametrised models), each also with a planted wrong map."""
    copies = {kappa: data.inputs @ weight.clone().T for kappa in kappas}
    rows = []
    for family in FAMILIES:
        right, wrong = {1.0: data.inputs @ weight.T}, {1.0: data.inputs @ weight.T}
        for kappa in kappas[1:]:
            coordinates = reparametrisation(family, kappa, data.num_features, str(weight.device))
            z = coordinates.features(data.inputs)
            right[kappa] = z @ coordinates.weight(weight).T
            wrong[kappa] = z @ weight.T  # the parameters were not transformed
        bound = logits_bound(weight, data.inputs, kappas[-1])
        published, corrected, planted = gate_c(copies), gate_c(right, bound), gate_c(wrong, bound)
        rows.append(
            {
                "seed": seed,
                "family": family,
                "published_passed": published.passed,
                "published_deviation": published.deviation,
                "corrected_passed": corrected.passed,
                "corrected_deviation": corrected.deviation,
                "corrected_bound": bound,
                "planted_passed": planted.passed,
                "planted_deviation": planted.deviation,
            }
        )
    return rows
