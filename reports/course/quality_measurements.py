"""What the cells of the experiment on quality measure: approximations along a run, and the empirical Fisher's failures."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, empirical_fisher, fisher, output_jacobian
from fishergauge.reference.fisher import label_gradients
from fishergauge.reference.terms import terms_of
from fishergauge.reports.cell import Record
from fishergauge.reports.course.compared_approximations import compared
from fishergauge.reports.course.digit_problems import along_a_run, digit_problem, state_of
from fishergauge.reports.course.quality_measures import Yardstick, matrix_error
from fishergauge.reports.course.unset_modules import unset_linear
from fishergauge.suites.seeding import generator

Row = dict[str, Any]


def run_record(architecture: str, seed: int, samples: int, repetitions: int, device: str, ends: bool = False) -> Record:
    """Every approximation at three points of a run, and how far the labels are from what the model would draw.

    Args:
        architecture: of :func:`digit_problem`.
        seed: of the initial parameters.
        samples: N.
        repetitions: draws of each Monte-Carlo Fisher.
        device: where to compute.
        ends: only the start and the end of the run.

    Returns:
        ``rows``, one an approximation, point and draw, and ``points``, one a point.
    """
    start = digit_problem(architecture, seed, samples, device)
    rows: list[Row] = []
    points: list[Row] = []
    for point, problem in along_a_run(start).items():
        if ends and point == "midway":
            continue
        place = {"architecture": architecture, "seed": seed, "point": point}
        yardstick = Yardstick(problem)
        points.append({**place, "P": problem.num_parameters, **state_of(problem, start), **bias_of_labels(problem)})
        for one in compared(problem, repetitions):
            named = {"approximation": one.name, "label": one.label, "draw": one.draw}
            rows.append({**place, **named, **yardstick.measure(one.matrix(problem))})
    return {"rows": rows, "points": points}


def bias_of_labels(problem: Problem) -> dict[str, float]:
    r"""The trace of the empirical Fisher among the traces that labels drawn from the model would give.

    With :math:`q_k(y) = |J_k' g_k(y)|^2` the trace at drawn labels is :math:`\frac{1}{M} \sum_k q_k(y_k)`; its mean is the
    trace of the Fisher, its variance :math:`\frac{1}{M^2} \sum_k \mathrm{Var}_y q_k(y)`, both by enumeration.

    Args:
        problem: with labels that can be enumerated, M = K.

    Returns:
        ``trace_fisher``, ``trace_empirical``, the deviation ``z`` in standard deviations of one draw, ``spread``, that
        deviation over the trace of the Fisher, and ``enumeration``, the
        relative difference of the Fisher by enumeration from :math:`\frac{1}{M} \sum_k J_k' (\mathrm{diag}(p) - p p') J_k`.
    """
    terms = terms_of(problem)
    jacobian = output_jacobian(problem)
    gram = jacobian @ jacobian.mT
    weights, labels = problem.likelihood.enumerate(terms.outputs)
    squares = _squares(label_gradients(problem, terms, labels), gram)
    mean = (weights.T * squares).sum(1)
    variance = (weights.T * (squares - mean[:, None]).square()).sum()
    observed = _squares(label_gradients(problem, terms, terms.labels[None]), gram)
    divisor = float(terms.divisor)
    p = terms.outputs.softmax(-1)
    weighed = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]) @ jacobian / divisor
    closed = jacobian.flatten(0, 1).T @ weighed.flatten(0, 1)
    exact, empirical = float(mean.sum()) / divisor, float(observed.sum()) / divisor
    return {
        "trace_fisher": exact,
        "trace_empirical": empirical,
        "z": (empirical - exact) / (math.sqrt(float(variance)) / divisor),
        "spread": math.sqrt(float(variance)) / divisor / exact,
        "enumeration": matrix_error(fisher(problem).dense(), closed),
    }


def _squares(gradients: Tensor, gram: Tensor) -> Tensor:
    """|J' g|^2 for gradients ``(K, S, C)`` by way of J J', ``(K, C, C)``."""
    squares: Tensor = torch.einsum("ksc,kcd,ksd->ks", gradients, gram, gradients)
    return squares


def regression_record(device: str) -> Record:
    """The empirical Fisher of linear regression where every residual is a given multiple of sigma: c^2 F exactly.

    Returns:
        ``rows``: the multiple c, the ratio of the traces, and the distance of the empirical Fisher from c^2 F.

    Reference:
        Kunstner, Balles and Hennig, NeurIPS 2019, sec. 3.
    """
    source = generator("quality regression")
    inputs = torch.randn(50, 4, generator=source, dtype=torch.float64)
    signs = torch.randn(50, 1, generator=source, dtype=torch.float64).sign()
    model = unset_linear(4, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source, dtype=torch.float64))
        predicted = model(inputs)
    rows = []
    for multiple in (0.0, 0.5, 1.0, 2.0):
        targets = predicted + multiple * math.sqrt(0.5) * signs  # MSELoss is a Gaussian of variance 1/2
        problem = Problem(model, nn.MSELoss(), [(inputs, targets)])
        exact, empirical = fisher(problem).dense(), empirical_fisher(problem).dense()
        distance = float((empirical - multiple**2 * exact).norm() / exact.norm())
        rows.append({"multiple": multiple, "ratio": float(empirical.trace() / exact.trace()), "distance": distance})
    return {"rows": rows}
