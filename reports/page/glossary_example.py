"""A small problem with the pieces of the glossary's formulas, by which tests evaluate them beside the reference.

Nothing here calls the routes of the reference: Jacobians, Hessians of losses and gradients are torch's own.
"""

from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.reports.page.glossary import read_glossary

Evaluated = tuple[Tensor, Tensor, Tensor]
"""By the formula, by the reference, and by the formula with a mistake that people make."""
Case = Callable[[], Evaluated]


class Cases(dict[str, Case]):
    """Evaluations of formulas, by the slug of the term.

    Args:
        groups: of the glossary, whose formulas are to be evaluated.
    """

    def __init__(self, *groups: str) -> None:
        super().__init__()
        self.formulas = {term.slug: str(term.formula) for term in read_glossary()[1] if term.group in groups and term.formula}

    def of(self, slug: str, latex: str) -> Callable[[Case], Case]:
        """Mark the evaluation of a formula; whoever changes the formula has to look at it again.

        Args:
            slug: of the term.
            latex: the formula, as it stands in the glossary.

        Raises:
            ValueError: the glossary has another formula.
        """
        if self.formulas[slug] != latex:
            raise ValueError(f"{slug}: the glossary has {self.formulas[slug]}; evaluated is {latex}")

        def mark(case: Case) -> Case:
            self[slug] = case
            return case

        return mark


def hessian(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Second derivatives, by reverse mode alone.

    Args:
        function: of a vector.

    Example:
        >>> hessian(lambda x: x[0] ** 2)(torch.ones(1))
        tensor([[2.]])
    """
    return jacrev(jacrev(function))


class Example:
    """A small problem, with the pieces of the formulas: K terms of C outputs, P parameters.

    Args:
        loss: of the problem.
        classes: of softmax outputs; None for squared error with two outputs.
        reduction: of the loss.
        bias: whether layers have one.
    """

    def __init__(self, loss: nn.Module, classes: int | None, reduction: str = "mean", bias: bool = True) -> None:
        generator = torch.Generator().manual_seed(1)
        outputs = classes or 2
        model = nn.Sequential(nn.Linear(3, 2, bias=bias), nn.Tanh(), nn.Linear(2, outputs, bias=bias)).double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        inputs = torch.randn(5, 3, generator=generator, dtype=torch.float64)
        drawn = torch.randn(5, outputs, generator=generator, dtype=torch.float64)
        self.problem = Problem(model, loss, [(inputs, drawn.argmax(1) if classes else drawn)])
        self.inputs, self.targets, self.model = inputs, self.problem.targets, model
        self.classes = classes
        self.divisor = 1.0 if reduction == "sum" else 5.0 if classes else 5.0 * outputs

    def at(self, vector: Tensor) -> Tensor:
        """The outputs at parameters given as a vector."""
        parts, place = {}, 0
        for name, parameter in self.problem.parameters.items():
            parts[name] = vector[place : place + parameter.numel()].reshape(parameter.shape)
            place += parameter.numel()
        outputs: Tensor = functional_call(self.model, parts, (self.inputs,))
        return outputs

    def term(self, z: Tensor, y: Tensor) -> Tensor:
        """The loss of one term before any reduction."""
        return -z.log_softmax(0)[y] if self.classes else ((z - y) ** 2).sum()

    @cached_property
    def z(self) -> Tensor:
        """The outputs, ``(K, C)``."""
        return self.at(self.problem.vector).detach()

    @cached_property
    def jacobians(self) -> Tensor:
        """The Jacobians, ``(K, C, P)``."""
        found: Tensor = jacrev(self.at)(self.problem.vector)
        return found.detach()

    @cached_property
    def hessians(self) -> Tensor:
        """The Hessians of the terms in the outputs, ``(K, C, C)``."""
        return torch.stack([hessian(partial(self.term, y=y))(z) for z, y in zip(self.z, self.targets, strict=True)])

    def residual(self, k: int, y: Tensor) -> Tensor:
        """The gradient of term k in the outputs at a label."""
        found: Tensor = torch.func.grad(lambda z: self.term(z, y))(self.z[k])
        return found

    def g(self, k: int, y: Tensor) -> Tensor:
        """The gradient of term k in the parameters at a label."""
        return self.jacobians[k].T @ self.residual(k, y)

    def expected(self, square: Callable[[int, Tensor], Tensor]) -> Tensor:
        """The mean over the labels of the model of what is made of term and label, summed over the terms; classes alone."""
        p = self.z.softmax(1)
        return sum(
            (p[k, c] * square(k, torch.tensor(c)) for k in range(5) for c in range(self.z.shape[1])),
            torch.zeros((), dtype=torch.float64),
        )


def softmax() -> Example:
    """Cross-entropy over three classes, averaged."""
    return Example(nn.CrossEntropyLoss(), classes=3)


def squares() -> Example:
    """Squared error of two outputs, averaged."""
    return Example(nn.MSELoss(), classes=None)


def kron(left: Tensor, right: Tensor) -> Tensor:
    """The Kronecker product, whatever the layout of the factors."""
    return torch.kron(left.contiguous(), right.contiguous())


def outer(vector: Tensor) -> Tensor:
    """The square of a vector, as a matrix."""
    return torch.outer(vector, vector)


def softmax_fisher() -> tuple[Example, Tensor, Tensor, Tensor]:
    """A problem, its Fisher, the identity and its gradient."""
    e = softmax()
    F = reference.fisher(e.problem).dense()
    return e, F, torch.eye(len(F), dtype=F.dtype), reference.gradient(e.problem)
