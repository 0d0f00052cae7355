"""What Kronecker factorisations are made of: the inputs of each layer, and gradients at its outputs."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.patches import patches
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import Terms, terms_of

FORWARDS = (nn.Linear.forward, nn.Conv1d.forward, nn.Conv2d.forward, nn.Conv3d.forward)
KNOWN = "the weights and biases of Linear, Conv1d, Conv2d and Conv3d, each used once"

Calls = dict[str, list[tuple[Tensor, Tensor]]]
Evaluation = tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear map inside the model.

    Args:
        name: of the module.
        weight: name of its weight among the parameters of the problem; None if it is frozen.
        bias: name of its bias; None if there is none or it is frozen.
        inputs: ``(N, T, D_in)`` at T positions of each sample: the vectors, or patches in the order of the
            columns of ``weight.flatten(1)``.
        width: D_out.
    """

    name: str
    weight: str | None
    bias: str | None
    inputs: Tensor
    width: int


class LayerStatistics:
    r"""Inputs of the layers, and gradients of the terms with respect to the outputs of the layers.

    A layer maps :math:`a_t \mapsto W a_t + b` at each of its positions t. With :math:`g_{kt}` the gradient of
    :math:`u' z_k` with respect to the layer's output at position t, the gradient with respect to W is
    :math:`\sum_t g_{kt} a_t'` and that with respect to b is :math:`\sum_t g_{kt}`; the constructor verifies
    this against a backward pass, so that no use of a weight escapes.

    Args:
        problem: whose parameters all belong to ``Linear`` or ungrouped convolutions, used once.
        terms: its evaluated terms; evaluated here by default.

    Raises:
        UnsupportedError: some trained parameter belongs to another module, is tied, or is used several times.

    Example:
        >>> problem = Problem(nn.Linear(2, 1), nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))])
        >>> LayerStatistics(problem).layers[""].inputs.shape
        torch.Size([4, 1, 2])

    Reference:
        Grosse and Martens, "A Kronecker-factored approximate Fisher matrix for convolution layers", ICML 2016, sec. 2.2.
    """

    def __init__(self, problem: Problem, terms: Terms | None = None) -> None:
        self.problem = problem
        self.terms = terms_of(problem) if terms is None else terms
        present = problem.likelihood.present(self.terms.labels)
        self.present = present.reshape(problem.num_samples, self.terms.per_sample)
        model = copy.deepcopy(problem.model)
        modules = _linear_modules(problem, model)
        calls = _record(modules)
        first = _evaluate(problem, model, problem.inputs[:1], calls) if problem.num_samples > 1 else None
        self._split, self._outputs, inputs = _evaluate(problem, model, problem.inputs, calls)
        if first is not None:
            _check_layout(first[2], inputs)
        self._modules = modules
        self.layers = {name: _layer(problem, name, module, inputs[name]) for name, module in modules.items()}
        self._check_uses()

    def counted(self, name: str) -> Tensor:
        """Which positions of a layer count, ``(N, T)`` of bool: masked terms are absent.

        Where a sample has as many terms as the layer has positions, a position counts with its term; elsewhere the
        positions of a sample count if any of its terms does.
        """
        positions = self.layers[name].inputs.shape[1]
        if positions == self.present.shape[1]:
            return self.present
        return self.present.any(1, keepdim=True).expand(-1, positions)

    def gradients(self, root: Tensor) -> Iterator[dict[str, Tensor]]:
        """Output-space vectors pulled back to the outputs of the layers.

        Args:
            root: vectors b, R for each of the K = N T terms: ``(K, R, C)``.

        Yields:
            For the first, second, ... term of all samples at once: by layer ``(R, N, positions, D_out)``.

        Raises:
            ProblemError: the root does not fit the terms.
        """
        samples, terms, width = self._split.shape
        if root.ndim != 3 or root.shape[0] != samples * terms or root.shape[2] != width:
            raise ProblemError(f"expected a root ({samples * terms}, R, {width}), got {tuple(root.shape)}")
        by_term = root.reshape(samples, terms, -1, width)
        for term in range(terms):
            vectors = by_term[:, term].movedim(1, 0)
            if len(vectors) <= width:
                yield self._pulled(term, vectors)
                continue
            # more vectors than outputs: fewer backward passes by way of the unit vectors
            unit = torch.eye(width, dtype=root.dtype, device=root.device)[:, None].expand(width, samples, width)
            jacobian = self._pulled(term, unit)
            yield {name: torch.einsum("rnc,cnto->rnto", vectors, part) for name, part in jacobian.items()}

    def _pulled(self, term: int, vectors: Tensor) -> dict[str, Tensor]:
        """Vectors ``(R, N, C)`` at one term of each sample, by layer ``(R, N, positions, D_out)``."""
        rows = []
        for vector in vectors:
            cotangent = torch.zeros_like(self._split)
            cotangent[:, term] = vector
            rows.append(self._backward(cotangent, list(self._outputs.values())))
        by_layer = zip(self.layers, zip(*rows, strict=True), strict=True)
        return {name: self._by_position(name, torch.stack(part)) for name, part in by_layer}

    def _by_position(self, name: str, gradients: Tensor) -> Tensor:
        """Gradients shaped like the layer's output, ``(R, ...)``, as ``(R, N, positions, D_out)``."""
        if not isinstance(self._modules[name], nn.Linear):
            gradients = gradients.flatten(3).mT
        samples, positions, _ = self.layers[name].inputs.shape
        return gradients.reshape(len(gradients), samples, positions, self.layers[name].width)

    def _backward(self, cotangent: Tensor, places: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One backward pass from the terms to ``places``; the graph is kept."""
        with differentiable_attention():
            return torch.autograd.grad(
                self._split, places, cotangent, retain_graph=True, allow_unused=True, materialize_grads=True
            )

    def _check_uses(self) -> None:
        """Refuse a parameter whose gradient is not that of its layer alone."""
        cotangent = torch.arange(self._split.numel(), device=self._split.device).to(self._split.dtype).cos()
        places, wanted = list(self._outputs.values()), []
        for layer in self.layers.values():
            wanted += [(layer, part) for part in ("weight", "bias") if getattr(layer, part) is not None]
        places += [getattr(self._modules[layer.name], part) for layer, part in wanted]
        gradients = self._backward(cotangent.view_as(self._split), places)
        at_layers = {name: self._by_position(name, g[None])[0] for name, g in zip(self.layers, gradients, strict=False)}
        for (layer, part), direct in zip(wanted, gradients[len(self.layers) :], strict=True):
            g = at_layers[layer.name]
            a = layer.inputs if part == "weight" else torch.ones_like(layer.inputs[..., :1])
            deviation = (torch.einsum("nto,nti->oi", g, a) - direct.reshape(layer.width, -1)).norm()
            if not bool(deviation <= torch.finfo(g.dtype).eps ** 0.5 * g.norm() * a.norm()):
                raise UnsupportedError(
                    f"the {part} of {_where(layer.name)} acts on the outputs by another way than its own forward pass; "
                    f"layer statistics cover {KNOWN}"
                )


def _linear_modules(problem: Problem, model: nn.Module) -> dict[str, nn.Module]:
    """The modules of ``model`` that own the trained parameters, in order; refuses those that are no plain linear map."""
    everywhere = [id(parameter) for _, parameter in problem.model.named_parameters(remove_duplicate=False)]
    modules: dict[str, nn.Module] = {}
    for name, parameter in problem.parameters.items():
        owner = name.rpartition(".")[0]
        module = model.get_submodule(owner)
        where = f"{_where(owner)} ({type(module).__name__})"
        if type(module).forward not in FORWARDS:
            raise UnsupportedError(f"{where} owns the trained {name}; layer statistics cover {KNOWN}; freeze the others")
        if everywhere.count(id(parameter)) > 1:
            raise UnsupportedError(f"{name} is tied: several modules use it, so that it has no input of its own; untie it")
        if getattr(module, "groups", 1) > 1:
            raise UnsupportedError(f"{where} has groups={module.groups}; layer statistics cover convolutions with groups=1")
        modules[owner] = module
    return modules


def _record(modules: dict[str, nn.Module]) -> Calls:
    """Let each module note its inputs and outputs at each call."""
    calls: Calls = {name: [] for name in modules}

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor) -> Tensor:
            inputs = args[0] if args else kwargs["input"]
            calls[name].append((inputs.detach().clone(), output))
            return output.clone()  # what follows may work in place

        return hook

    for name, module in modules.items():
        module.register_forward_hook(note(name), with_kwargs=True)
    return calls


def _evaluate(problem: Problem, model: nn.Module, inputs: Tensor, calls: Calls) -> Evaluation:
    """Terms ``(n, T, C)`` of some inputs, and by layer its outputs and its inputs ``(n, positions, D_in)``."""
    with torch.enable_grad(), differentiable_attention():
        split = problem.likelihood.split(model(inputs.detach()))
    outputs, vectors = {}, {}
    for name, noted in calls.items():
        if len(noted) != 1:
            raise UnsupportedError(f"{_where(name)} is used {len(noted)} times in a forward pass; it must be used once")
        module = model.get_submodule(name)
        entered, outputs[name] = noted.pop()
        if not isinstance(module, nn.Linear) and entered.ndim != module.weight.ndim:
            raise UnsupportedError(f"{_where(name)} is applied without a batch axis; give it inputs (N, C, ...)")
        if len(entered) % len(inputs):
            raise UnsupportedError(_layout(name))
        rows = entered if isinstance(module, nn.Linear) else patches(module, entered)
        vectors[name] = rows.reshape(len(inputs), -1, rows.shape[-1])
    return split, outputs, vectors


def _check_layout(alone: dict[str, Tensor], together: dict[str, Tensor]) -> None:
    """Refuse a layer whose first axis is not that of the samples: one alone must enter it as it does within the batch."""
    for name, one in alone.items():
        tolerance = math.sqrt(torch.finfo(one.dtype).eps) * (1 + float(one.abs().max()))
        same = one.shape[1:] == together[name].shape[1:] and bool(((one[0] - together[name][0]).abs() <= tolerance).all())
        if not same:
            raise UnsupportedError(_layout(name))


def _layer(problem: Problem, name: str, module: nn.Module, inputs: Tensor) -> Layer:
    """The layer of a module."""
    prefix = f"{name}." if name else ""
    trained = [f"{prefix}{part}" if f"{prefix}{part}" in problem.parameters else None for part in ("weight", "bias")]
    return Layer(name, trained[0], trained[1], inputs, len(module.weight))  # type: ignore[arg-type]


def _layout(name: str) -> str:
    return f"the first axis of what enters {_where(name)} does not count the samples; put the samples first"


def _where(name: str) -> str:
    return name or "the model"
