"""What a cell of the experiment on efficiency measures: operations, memory and time of one approximation at several sizes."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, gradient
from fishergauge.reports.cell import Record
from fishergauge.reports.cost import seconds
from fishergauge.reports.course.costed import Costed
from fishergauge.reports.course.digit_problems import initialise
from fishergauge.reports.course.operations import operations
from fishergauge.reports.course.unset_modules import unset_linear
from fishergauge.suites.benchmarks.layer_sizes import LayerSizes, perceptron_sizes
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.seeding import generator

SAMPLES = 32
OUTPUTS = 10
DAMPING = 0.1
STAGES = ("form", "apply", "solve")
LONG = 0.3  # seconds: what takes so long is timed once


def wide_problem(width: int, samples: int = SAMPLES, device: str = "cpu") -> Problem:
    """A perceptron with ``width`` inputs and ``width`` hidden units on random data: the cost does not depend on their values.

    Args:
        width: h; P = h^2 + 11 h + 10.
        samples: N.
        device: where it lives.

    Returns:
        The problem, with ten classes.

    Example:
        >>> wide_problem(8).num_parameters
        162
    """
    source = generator("efficiency", width)
    inputs = torch.randn(samples, width, generator=source, dtype=torch.float64)
    labels = torch.randint(OUTPUTS, (samples,), generator=source)
    model = nn.Sequential(unset_linear(width, width), nn.Tanh(), unset_linear(width, OUTPUTS))
    initialise(model, source)
    return Problem(model.to(device), nn.CrossEntropyLoss(), [(inputs.to(device), labels.to(device))], f"width-{width}")


def sizes_of(width: int, samples: int = SAMPLES) -> LayerSizes:
    """The sizes of :func:`wide_problem`."""
    return perceptron_sizes((width, width, OUTPUTS), samples)


def cost_record(one: Costed, widths: Sequence[int], repetitions: int, device: str) -> Record:
    """Costs of forming, applying and solving, at each width.

    Args:
        one: the approximation.
        widths: of the network.
        repetitions: how many times a stage is timed; the median counts.
        device: where to compute.

    Returns:
        ``rows``, one a width and stage; with the relative residual of the damped solve.
    """
    rows = [row for width in widths for row in _costs(one, width, repetitions, device)]
    return {"rows": rows}


def _costs(one: Costed, width: int, repetitions: int, device: str) -> list[dict[str, Any]]:
    problem, sizes = wide_problem(width, device=device), sizes_of(width)
    vector = gradient(problem)
    counts: dict[str, int] = {}
    counts["form"], kept = operations(lambda: one.form(problem))
    calls: dict[str, Callable[[], Tensor]] = {
        "form": lambda: one.form(problem),
        "apply": lambda: one.apply(kept, vector),
        "solve": lambda: one.solve(kept, vector, DAMPING),
    }
    counts["apply"], _ = operations(calls["apply"])
    counts["solve"], solution = operations(calls["solve"])
    residual = one.apply(kept, solution) + DAMPING * solution - vector
    theory = {"form": one.forming(sizes), "apply": None, "solve": one.solving(sizes)}
    rows = []
    for stage in STAGES:
        peak = peak_bytes(calls[stage], device)  # this call warms up
        times = [seconds(calls[stage], device)]
        while len(times) < repetitions and sum(times) < LONG:
            times.append(seconds(calls[stage], device))
        rows.append(
            {
                "approximation": one.name,
                "label": one.label,
                "kind": one.kind,
                "width": width,
                "P": sizes.parameters,
                "stage": stage,
                "flops": counts[stage],
                "theory": theory[stage],
                "residual": float(residual.norm() / vector.norm()),
                "seconds": statistics.median(times),
                "peak_bytes": peak,
                "numbers": one.numbers(kept),
                "numbers_theory": one.storage(sizes),
            }
        )
    return rows
