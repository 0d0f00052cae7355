"""Times of the routes to the Jacobian, each verified before it is timed."""

import math
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reports.cell import Record
from fishergauge.reports.cost import seconds
from fishergauge.reports.gauss_newton.jacobian_routes import ROUTES, Route, model_and_inputs
from fishergauge.reports.gauss_newton.jacobian_tables import PUBLISHED_SAMPLES
from fishergauge.suites.closeness import assert_close, relative_deviation

LEAST_SECONDS = 3e-3  # one timed stretch repeats a fast call that often
SLOW = 0.05  # seconds of a call from which on fewer repetitions have to do


def times_record(model: str, samples: int, repetitions: int, device: str, routes: Mapping[str, Route] = ROUTES) -> Record:
    """Time every route to the Jacobian, and at the published size to J'J / N, in turns.

    Args:
        model: ``"line"`` or ``"network"``.
        samples: N.
        repetitions: how many stretches are timed for each route; their median counts.
        device: where to compute.
        routes: by name, the first is the one to agree with.

    Returns:
        Rows with the median and the least time of a call.

    Raises:
        ClaimViolated: a route gives another Jacobian than the first; nothing is timed then.
    """
    deviations = verified(model, samples, device, routes)
    accumulated = accumulation(model, samples, device, next(iter(routes.values())))
    network, inputs = model_and_inputs(model, samples, torch.float32, device)
    calls = {("jacobian", name): _jacobian_call(route, network, inputs) for name, route in routes.items()}
    if (model, samples) == ("line", PUBLISHED_SAMPLES):
        calls |= {("ggn", name): _ggn_call(name, route, network, inputs) for name, route in routes.items()}
    stretches: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    counts = {key: _warmed(call, device) for key, call in calls.items()}
    for turn in range(repetitions):
        for key, call in calls.items():
            count, once = counts[key]
            if once < SLOW or turn < 3:
                if count > 1:
                    call()  # caches are warm again, whatever ran before
                stretches[key].append(seconds(partial(_repeat, call, count), device) / count)
    rows: list[dict[str, Any]] = [
        {
            "model": model,
            "samples": samples,
            "quantity": quantity,
            "route": name,
            "seconds": statistics.median(times),
            "least_seconds": min(times),
            "stretches": len(times),
            "calls": counts[quantity, name][0],
            "deviation": deviations[name],
            "accumulated": accumulated,
        }
        for (quantity, name), times in stretches.items()
    ]
    return {"rows": rows}


def verified(model: str, samples: int, device: str, routes: Mapping[str, Route]) -> dict[str, float]:
    """The relative deviation of every route from the first, in float64; both precisions must keep the bound of rounding.

    Raises:
        ClaimViolated: some route does not.
    """
    first, *_ = routes.values()
    deviations = {}
    for dtype in (torch.float32, torch.float64):
        network, inputs = model_and_inputs(model, samples, dtype, device)
        expected = first(network, inputs)
        for name, route in routes.items():
            actual = route(network, inputs).detach()
            assert_close(actual, expected, f"the Jacobian by the route {name}", size=samples)
            deviations[name] = relative_deviation(actual, expected)
    return deviations


def accumulation(model: str, samples: int, device: str, route: Route) -> float:
    """Relative deviation of the parameters' gradients after one backward pass from the sum of a route's rows, in float64."""
    network, inputs = model_and_inputs(model, samples, torch.float64, device)
    network(inputs).sum().backward()
    found = torch.cat([parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None])
    return relative_deviation(found, route(network, inputs).detach().sum((0, 1)))


def _jacobian_call(route: Route, network: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    return lambda: route(network, inputs)


def _ggn_call(name: str, route: Route, network: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    """J'J / N as the published program has it: by hand, the design matrix is there already."""
    if name == "analytic":
        design = route(network, inputs)[:, 0]
        return lambda: design.T @ design / len(design)

    def call() -> Tensor:
        rows = route(network, inputs)[:, 0]
        return rows.T @ rows / len(rows)

    return call


def _warmed(call: Callable[[], Tensor], device: str) -> tuple[int, float]:
    """Warm up, and say how many calls make a stretch and how long one takes."""
    seconds(call, device)
    once = seconds(call, device)
    if once < LEAST_SECONDS:
        once = min(seconds(call, device) for _ in range(5))
    return max(1, math.ceil(LEAST_SECONDS / once)), once


def _repeat(call: Callable[[], Tensor], count: int) -> None:
    for _ in range(count):
        call()
