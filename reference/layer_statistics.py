"""What Kronecker factorisations are made of: the inputs of each layer, and gradients at its outputs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.layer_calls import LayerCalls, check_layout, where
from fishergauge.reference.parameter_uses import ParameterUses, is_bare
from fishergauge.reference.problem import Problem
from fishergauge.reference.terms import Terms, terms_of

FORWARDS = (nn.Linear.forward, nn.Conv1d.forward, nn.Conv2d.forward, nn.Conv3d.forward)
KNOWN = "the weights and biases of Linear, Conv1d, Conv2d and Conv3d, each used once"


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
    that each parameter acts by the one call of its layer alone, so that no use of a weight escapes.

    The model is evaluated once, at a copy of its parameters, and once more on one sample. The inputs of the layers may
    share memory with the data and with each other: do not write into them.

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
        if torch._C._are_functorch_transforms_active():
            raise UnsupportedError("layer statistics cannot be taken inside a transform of torch.func; take them outside")
        self.problem = problem
        self._modules = _linear_modules(problem)
        self._parameters = {name: p.detach().clone().requires_grad_() for name, p in problem.parameters.items()}
        calls, alone = LayerCalls(problem.model, self._modules, self._parameters), None
        with calls.noted():
            if problem.num_samples > 1:
                with torch.no_grad():
                    alone = calls.evaluate(problem.inputs[:1])
            with torch.enable_grad():
                whole = calls.evaluate(problem.inputs)
                self._split = problem.likelihood.split(whole.outputs)
        if alone is not None:
            check_layout(alone, whole)
        self._places, self._shapes = whole.places, whole.shapes
        self.layers = {name: self._layer(name, inputs) for name, inputs in whole.inputs.items()}
        self.terms = terms_of(problem, whole.outputs) if terms is None else terms
        present = problem.likelihood.present(self.terms.labels)
        self.present = present.reshape(problem.num_samples, self.terms.per_sample)
        self._check_uses()

    def _layer(self, name: str, inputs: Tensor) -> Layer:
        prefix = f"{name}." if name else ""
        weight, bias = (f"{prefix}{part}" if f"{prefix}{part}" in self._parameters else None for part in ("weight", "bias"))
        return Layer(name, weight, bias, inputs, len(self._modules[name].weight))  # type: ignore[arg-type]

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
        for term, vectors in self._by_term(root):
            if len(vectors) > vectors.shape[2]:
                yield self._through_jacobian(term, vectors)
            else:
                yield self._stacked(term, vectors)

    def gradients_in_turn(self, root: Tensor) -> Iterator[dict[str, Tensor]]:
        """The same as :meth:`gradients`, a vector at a time where that takes no more passes: for sums over all of them.

        What a pass gives is then used while it is in the cache, and held beside no other.

        Args:
            root: ``(K, R, C)``.

        Yields:
            By layer ``(r, N, positions, D_out)``, for some of the vectors of one term of all samples.

        Raises:
            ProblemError: the root does not fit the terms.
        """
        for term, vectors in self._by_term(root):
            if len(vectors) > vectors.shape[2]:
                yield self._through_jacobian(term, vectors)
                continue
            for vector in vectors:
                yield {name: part[None] for name, part in self._pulled(term, vector).items()}

    def _by_term(self, root: Tensor) -> Iterator[tuple[int, Tensor]]:
        """The vectors of the first, second, ... term of all samples, ``(R, N, C)``."""
        samples, terms, width = self._split.shape
        if root.ndim != 3 or root.shape[0] != samples * terms or root.shape[2] != width:
            raise ProblemError(f"expected a root ({samples * terms}, R, {width}), got {tuple(root.shape)}")
        by_term = root.reshape(samples, terms, -1, width)
        for term in range(terms):
            yield term, by_term[:, term].movedim(1, 0)

    def _through_jacobian(self, term: int, vectors: Tensor) -> dict[str, Tensor]:
        """More vectors than outputs, ``(R, N, C)``: fewer backward passes by way of the unit vectors."""
        width = vectors.shape[2]
        unit = torch.eye(width, dtype=vectors.dtype, device=vectors.device)[:, None].expand(width, vectors.shape[1], width)
        jacobian = self._stacked(term, unit)
        return {name: torch.einsum("rnc,cnto->rnto", vectors, part) for name, part in jacobian.items()}

    def _stacked(self, term: int, vectors: Tensor) -> dict[str, Tensor]:
        """Vectors ``(R, N, C)`` at one term of each sample, by layer ``(R, N, positions, D_out)``."""
        pulled = [self._pulled(term, vector) for vector in vectors]
        return {name: torch.stack([part[name] for part in pulled]) for name in self.layers}

    def _pulled(self, term: int, vector: Tensor) -> dict[str, Tensor]:
        """A vector ``(N, C)`` at one term of each sample, by layer ``(N, positions, D_out)``."""
        cotangent = torch.zeros_like(self._split)
        cotangent[:, term] = vector
        gradients = self._backward(cotangent, [self._places[name] for name in self.layers])
        return {name: self._by_position(name, g) for name, g in zip(self.layers, gradients, strict=True)}

    def _by_position(self, name: str, gradient: Tensor | None) -> Tensor:
        """A gradient shaped like the layer's output as ``(N, positions, D_out)``."""
        if gradient is None:
            gradient = self._split.new_zeros(self._shapes[name])
        if not isinstance(self._modules[name], nn.Linear):
            gradient = gradient.flatten(2).mT
        samples, positions, _ = self.layers[name].inputs.shape
        return gradient.reshape(samples, positions, self.layers[name].width)

    def _backward(self, cotangent: Tensor, places: Sequence[Tensor | GradientEdge]) -> Sequence[Tensor | None]:
        """One backward pass from the terms to ``places``; the graph is kept."""
        return torch.autograd.grad(self._split, places, cotangent, retain_graph=True, allow_unused=True)  # type: ignore[arg-type]

    def _check_uses(self) -> None:
        """Refuse a parameter that does anything but what its layer does with it."""
        uses = ParameterUses(self._split)
        for layer in self.layers.values():
            own_uses = int(self._places[layer.name].node in uses)
            bare = is_bare(self._modules[layer.name])
            for part, name in (("weight", layer.weight), ("bias", layer.bias)):
                if name is None:
                    continue
                parameter = self._parameters[name]
                if uses.count(parameter) > own_uses or not (bare or self._acts_linearly(layer, parameter)):
                    raise UnsupportedError(
                        f"the {part} of {where(layer.name)} acts on the outputs by another way than its own forward pass; "
                        f"layer statistics cover {KNOWN}"
                    )

    def _acts_linearly(self, layer: Layer, parameter: Tensor) -> bool:
        """Whether the gradient of a weight or bias, at fixed vectors, is what its layer's inputs and gradients make of it."""
        cotangent = torch.arange(self._split.numel(), device=self._split.device).to(self._split.dtype).cos()
        pulled, direct = self._backward(cotangent.view_as(self._split), [self._places[layer.name], parameter])
        g = self._by_position(layer.name, pulled)
        a = layer.inputs if parameter.ndim > 1 else torch.ones_like(layer.inputs[..., :1])
        direct = torch.zeros_like(parameter) if direct is None else direct
        deviation = (torch.einsum("nto,nti->oi", g, a) - direct.reshape(layer.width, -1)).norm()
        return bool(deviation <= torch.finfo(g.dtype).eps ** 0.5 * g.norm() * a.norm())


def _linear_modules(problem: Problem) -> dict[str, nn.Module]:
    """The modules that own the trained parameters, in order; refuses those that are no plain linear map."""
    everywhere = [id(parameter) for _, parameter in problem.model.named_parameters(remove_duplicate=False)]
    modules: dict[str, nn.Module] = {}
    for name, parameter in problem.parameters.items():
        owner = name.rpartition(".")[0]
        module = problem.model.get_submodule(owner)
        owned = f"{where(owner)} ({type(module).__name__})"
        if type(module).forward not in FORWARDS:
            raise UnsupportedError(f"{owned} owns the trained {name}; layer statistics cover {KNOWN}; freeze the others")
        if everywhere.count(id(parameter)) > 1:
            raise UnsupportedError(f"{name} is tied: several modules use it, so that it has no input of its own; untie it")
        if getattr(module, "groups", 1) > 1:
            raise UnsupportedError(f"{owned} has groups={module.groups}; layer statistics cover convolutions with groups=1")
        modules[owner] = module
    return modules
