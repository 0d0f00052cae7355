"""Linear-Gaussian cases with their design matrices written by hand, and the maximum a posteriori of classifiers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, gradient, hessian
from fishergauge.reference.gaussian_prior import GaussianPrior, prior_of
from fishergauge.reference.likelihood_scale import LikelihoodScale
from fishergauge.suites.conjugate_bayes import ConjugateBayes
from fishergauge.suites.function_space_process import FunctionSpaceProcess
from fishergauge.suites.precision import converted
from fishergauge.suites.seeding import generator

PriorKind = Literal["isotropic", "layer-wise", "diagonal", "dense"]
PRIORS: tuple[PriorKind, ...] = ("isotropic", "layer-wise", "diagonal", "dense")
ONE_LAYER = ("one-output", "bias", "several-outputs", "over-parametrised")


class SumOfLayers(nn.Module):
    """Two linear layers on different features, and an offset without parameters: f(x) = W x + b + V sin x + |x|^2."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, outputs)
        self.second = nn.Linear(features, outputs, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.first(inputs) + self.second(inputs.sin()) + inputs.square().sum(1, keepdim=True)
        return outputs


def weight_columns(features: Tensor, outputs: int) -> Tensor:
    """The columns of the design matrix for a weight ``(C, F)`` on features ``(N, F)``: ``(N C, C F)``."""
    identity = torch.eye(outputs, dtype=features.dtype)
    return torch.einsum("cd,nf->ncdf", identity, features).reshape(len(features) * outputs, -1)


def bias_columns(samples: int, outputs: int) -> Tensor:
    """The columns for a bias ``(C,)``: ``(N C, C)``."""
    return torch.eye(outputs, dtype=torch.float64).repeat(samples, 1)


@dataclass(frozen=True, eq=False)
class LinearCase:
    """A linear-Gaussian problem with what the closed forms need.

    Args:
        problem: in float64 or float32.
        inputs: new ones, ``(N', D)``.
        prior: over the parameters, its numbers those of the problem's dtype, in float64.
        prior_precision: the same dense, ``(P, P)``.
        variance: of the observations.
        design: inputs to rows of the design matrix.
        offset: inputs to what the model adds, ``(N C,)``.
    """

    problem: Problem
    inputs: Tensor
    prior: GaussianPrior
    prior_precision: Tensor
    variance: float
    design: Callable[[Tensor], Tensor]
    offset: Callable[[Tensor], Tensor]

    @property
    def prior_mean(self) -> Tensor:
        """mu, ``(P,)``, in float64."""
        mean = self.prior.mean
        assert isinstance(mean, Tensor)
        return mean.double()

    def conjugate(self) -> ConjugateBayes:
        """The closed form from the design matrix."""
        inputs = self.problem.inputs.double()
        targets = self.problem.targets.double().flatten() - self.offset(inputs)
        return ConjugateBayes(self.design(inputs), targets, self.prior_precision, self.prior_mean, self.variance)

    def process(self, prior_precision: Tensor | None = None, variance: float | None = None) -> FunctionSpaceProcess:
        """The process over functions, also at other hyper-parameters."""
        precision = self.prior_precision if prior_precision is None else prior_precision
        covariance: Tensor = torch.linalg.inv(precision)
        wide = converted(self.problem, torch.float64)
        return FunctionSpaceProcess(wide, covariance, self.prior_mean, self.variance if variance is None else variance)


def linear_case(
    name: str,
    kind: PriorKind = "isotropic",
    variance: float = 0.3,
    reduction: str = "mean",
    dtype: torch.dtype = torch.float64,
) -> LinearCase:
    """A case by name: its numbers are drawn in float64, rounded to ``dtype``, and widened for the closed forms."""
    source = generator("linear-case", name)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    features, outputs, batches, bias = {
        "one-output": (3, 1, (12,), False),
        "bias": (2, 1, (9,), True),
        "several-outputs": (2, 3, (5, 3), True),
        "two-layers": (2, 2, (5, 3, 1), True),
        "over-parametrised": (8, 2, (3,), True),
    }[name]
    with torch.random.fork_rng(devices=[]):  # modules initialise themselves from the global generator
        model: nn.Module = nn.Linear(features, outputs, bias)
        if name == "two-layers":
            model = SumOfLayers(features, outputs)
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(normal(*parameter.shape))
    data = [(normal(size, features), normal(size, outputs)) for size in batches]
    problem = converted(Problem(model, nn.MSELoss(reduction=reduction), data, name), dtype)

    def design(inputs: Tensor) -> Tensor:
        columns = [weight_columns(inputs, outputs)]
        if bias:
            columns.append(bias_columns(len(inputs), outputs))
        if name == "two-layers":
            columns.append(weight_columns(inputs.sin(), outputs))
        return torch.cat(columns, 1)

    def offset(inputs: Tensor) -> Tensor:
        added = inputs.square().sum(1) if name == "two-layers" else inputs.new_zeros(len(inputs))
        return added.repeat_interleave(outputs)

    size = problem.num_parameters
    first = features * outputs + outputs
    inputs, mean, root = normal(4, features).to(dtype), normal(size).to(dtype), normal(size, size)
    precision: Any = (
        {
            "isotropic": torch.tensor(0.7),
            "layer-wise": torch.tensor([0.5, 3.0] if name == "two-layers" else [2.0]),
            "diagonal": torch.linspace(0.5, 3, size),
            "dense": root @ root.T / size + torch.eye(size) / 2,
        }[kind]
        .to(dtype)
        .double()
    )  # the numbers that a problem in ``dtype`` has
    layers = [0] * first + [1] * (size - first)
    repeated = precision[layers] if kind == "layer-wise" and len(precision) > 1 else precision
    spread = repeated if kind == "dense" else repeated.expand(size).diag()
    return LinearCase(problem, inputs, GaussianPrior(precision, mean), spread, variance, design, offset)


def maximum_a_posteriori(problem: Problem, prior: GaussianPrior | float, steps: int = 60) -> Problem:
    """The problem at the mode of a log-concave posterior of class labels, by Newton steps."""
    scale, resolved = LikelihoodScale(problem), prior_of(problem, prior)
    factor, delta = scale.factor(None), resolved.dense()
    for _ in range(steps):
        offset = problem.vector - resolved.mean
        slope = factor * gradient(problem) + delta @ offset
        step = torch.linalg.solve(factor * hessian(problem).dense() + delta, slope)
        problem = problem.at(problem.vector - step)
        if float(step.norm()) <= 16 * torch.finfo(step.dtype).eps * (1 + float(problem.vector.norm())):
            return problem
    raise AssertionError(f"{problem.name}: no maximum a posteriori after {steps} Newton steps")
