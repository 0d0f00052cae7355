"""What is measured of training curves in other coordinates: rows of the experiment's tables."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import FAMILIES, Problem, Reparametrization, fisher, reparametrized
from fishergauge.reference.coordinates import ElementwiseMap
from fishergauge.reports.course.parametrisation_curves import LENGTHS, Curve, deviation, teacher_problem, training_curve
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.seeding import derived_seed

STEPS = 15
TIME = 1.0  # eta times the number of steps, of the natural gradient under smooth maps
LONGEST = 0.2  # step of the natural gradient
TRAINED = {"exact": 1.0, "sgd": 2.0}  # eta is the natural gradient's times this


def map_of(problem: Problem, family: str, kappa: float, seed: int) -> Reparametrization:
    """The problem in coordinates of a family, drawn from a seed of the experiment."""
    return reparametrized(problem, family, kappa, derived_seed("parametrisation", family, seed))


def curve_bound(curve: Curve, reference: Curve, parameters: int) -> float:
    r"""What rounding explains of a deviation of outputs, relative to their range: :math:`64 u \sqrt P \, \kappa(F)` of the way.

    Each step solves with a matrix of condition number at most kappa, so that its effect is known to that relative accuracy; the
    errors of the steps add up along the way, as natural-gradient steps bring neighbouring points no further apart.
    """
    bound = rounding_bound(reference.outputs.dtype, parameters, max(curve.condition, reference.condition))
    return bound * reference.length / float(reference.outputs[-1].abs().max())


def linear_rows(family: str, kappas: Sequence[float], methods: Sequence[str], seed: int, device: str) -> list[dict[str, Any]]:
    """Every method under linear maps of a family; K-FAC where the layers remain layers."""
    problem = teacher_problem(seed, device)
    supported = [method for method in methods if method != "kfac" or FAMILIES[family].layerwise]
    references = {method: training_curve(problem, method, LENGTHS[method], STEPS) for method in supported}
    rows = []
    for kappa in kappas:
        made = map_of(problem, family, kappa, seed)
        for method, reference in references.items():
            curve = training_curve(made.problem, method, LENGTHS[method], STEPS)
            loss, outputs = deviation(curve, reference)
            bound = curve_bound(curve, reference, problem.num_parameters)
            rows.append(
                {
                    "study": "linear",
                    "family": family,
                    "kappa": kappa,
                    "method": method,
                    "loss_deviation": loss,
                    "deviation": outputs,
                    "condition": curve.condition,
                    "bound": bound,
                    "holds": outputs <= bound,
                    "losses": curve.losses.tolist(),
                    "reference_losses": reference.losses.tolist(),
                }
            )
    return rows


def smooth_rows(family: str, halvings: int, seed: int, device: str) -> list[dict[str, Any]]:
    """Natural gradient and gradient descent under a nonlinear map, at the same times for ever smaller steps."""
    problem = teacher_problem(seed, device)
    made = map_of(problem, family, 1.0, seed)
    rows = []
    for method, factor in TRAINED.items():
        for halving in range(halvings):
            length = LONGEST / 2**halving
            steps, stride = round(TIME / length), 2**halving
            reference = training_curve(problem, method, factor * length, steps)
            curve = training_curve(made.problem, method, factor * length, steps)
            loss, outputs = deviation(curve, reference, stride, stride)
            rows.append(
                {
                    "study": "smooth",
                    "family": family,
                    "method": method,
                    "length": factor * length,
                    "loss_deviation": loss,
                    "deviation": outputs,
                    "bound": curve_bound(curve, reference, problem.num_parameters),
                    "within_chart": within_chart(made, reference.points),
                }
            )
    return rows


def within_chart(made: Reparametrization, points: Tensor) -> bool:
    """Whether a path lies in the range of the map: beyond the centre of exp there are no coordinates."""
    coordinates = made.coordinates
    if isinstance(coordinates, ElementwiseMap) and coordinates.function == "exp":
        return bool((points > coordinates.centre).all())
    return True


def damped_rows(
    kappa: float, dampings: Sequence[float], seed: int, device: str, family: str = "affine"
) -> list[dict[str, Any]]:
    """The damped natural gradient under maps of a family, lambda in units of the mean eigenvalue of the first Fisher."""
    problem = teacher_problem(seed, device)
    made = map_of(problem, family, kappa, seed)
    unit = float(fisher(problem).trace()) / problem.num_parameters
    rows = []
    for damping in dampings:
        reference = training_curve(problem, "exact", LENGTHS["exact"], STEPS, damping * unit)
        curve = training_curve(made.problem, "exact", LENGTHS["exact"], STEPS, damping * unit)
        loss, outputs = deviation(curve, reference)
        bound = curve_bound(curve, reference, problem.num_parameters)
        rows.append({"study": "damped", "kappa": kappa, "damping": damping, "loss_deviation": loss})
        rows[-1].update(deviation=outputs, bound=bound)
    return rows


def law_rows(maps: Sequence[tuple[str, float]], seed: int, device: str) -> list[dict[str, Any]]:
    r"""How the Fisher transforms: :math:`J^{-T} F J^{-1}` with J the derivative of phi by theta.

    The same with its inverse T is :math:`T' F T`; wrong is :math:`T F T'`.
    """
    problem = teacher_problem(seed, device)
    information = fisher(problem).dense()
    rows = []
    for family, kappa in maps:
        made = map_of(problem, family, kappa, seed)
        found, T = fisher(made.problem).dense(), made.jacobian
        J = torch.linalg.inv(T)
        course = torch.linalg.solve(J.T, torch.linalg.solve(J.T, information).T)
        size = float(found.norm())
        wrong = T @ information @ T.T
        rows.append(
            {
                "study": "law",
                "family": family,
                "kappa": kappa,
                "course_form": float((course - found).norm()) / size,
                "pull_back": float((T.T @ information @ T - found).norm()) / size,
                "transposed": float((wrong - found).norm()) / size,
                "bound": rounding_bound(found.dtype, len(found), made.condition**2),
            }
        )
    return rows
