"""The problem: a model, a loss and data, whose curvature is in question."""

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.facts import Facts
from fishergauge.reference.likelihood import Likelihood
from fishergauge.reference.likelihoods import likelihood_of

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Problem:
    r"""A model, a loss module and data; its objective is the loss of all data at once.

    .. math:: L(\theta) = \text{loss}(f_\theta(X), y)

    with the loss's own reduction. Several batches are one data set: the objective is that of their
    concatenation, whatever their sizes. What torch declares constant has no curvature: the row
    ``padding_idx`` of an ``Embedding`` has zeros there, although the outputs depend on it.

    Args:
        model: any ``nn.Module`` that treats samples independently and that ``torch.func`` can
            differentiate. Never modified.
        loss: ``MSELoss``, ``CrossEntropyLoss`` or ``BCEWithLogitsLoss`` with reduction ``mean`` or ``sum``.
        batches: pairs of inputs ``(N_b, ...)`` and targets ``(N_b, ...)``.
        name: how records and messages call the problem.
        facts: what is known of the problem beyond its code.

    Raises:
        ProblemError: model, loss and data do not fit together; the message names the cause.

    Example:
        >>> X, y = torch.ones(4, 2), torch.zeros(4, 1)
        >>> Problem(nn.Linear(2, 1), nn.MSELoss(), [(X, y)]).num_parameters
        3
    """

    model: nn.Module
    loss: nn.Module
    batches: Sequence[Batch]
    name: str = "unnamed"
    facts: Facts = field(default_factory=Facts)

    def __post_init__(self) -> None:
        object.__setattr__(self, "batches", _checked_batches(self.batches))
        _check_parameters(self)
        _check_modules(self.model)
        likelihood = self.likelihood
        _ = self.inputs, self.targets  # kept now: made inside a transform of torch.func they would end with it
        collected = []
        with torch.no_grad(), differentiable_attention():
            for inputs, _ in self.batches:
                outputs = self.model(inputs)
                if not isinstance(outputs, Tensor):
                    raise ProblemError(f"the model must return one tensor, not {type(outputs).__name__}")
                if outputs.ndim == 0 or len(outputs) != len(inputs):
                    raise ProblemError(
                        f"the model maps {len(inputs)} samples to outputs of shape {tuple(outputs.shape)}; "
                        "the first axis of inputs and outputs must count the samples"
                    )
                collected.append(outputs)
        likelihood.check(torch.cat(collected), self.targets)
        likelihood.check_divisor(torch.cat(collected), self.targets)

    @cached_property
    def likelihood(self) -> Likelihood:
        """What the loss says about the distribution of labels given the outputs."""
        return likelihood_of(self.loss)

    @cached_property
    def inputs(self) -> Tensor:
        """All inputs, concatenated: ``(N, ...)``."""
        return _together([inputs for inputs, _ in self.batches])

    @cached_property
    def targets(self) -> Tensor:
        """All targets, concatenated: ``(N, ...)``."""
        return _together([targets for _, targets in self.batches])

    @property
    def outputs(self) -> Tensor:
        """The outputs of the model at its current parameters: ``(N, ...)``, detached."""
        with torch.no_grad(), differentiable_attention():
            outputs: Tensor = self.model(self.inputs)
        return outputs.detach()  # a model may return a view of a parameter, which requires gradients even so

    @property
    def parameters(self) -> "OrderedDict[str, nn.Parameter]":
        """Parameters that require gradients, in the order of ``named_parameters``; a tied one once."""
        return OrderedDict((name, p) for name, p in self.model.named_parameters() if p.requires_grad)

    @property
    def num_parameters(self) -> int:
        """P, the number of scalars in :attr:`parameters`."""
        return sum(p.numel() for p in self.parameters.values())

    @property
    def num_samples(self) -> int:
        """N, the number of samples in all batches."""
        return sum(len(inputs) for inputs, _ in self.batches)

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the parameters."""
        return next(iter(self.parameters.values())).dtype

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(iter(self.parameters.values())).device

    @property
    def vector(self) -> Tensor:
        """The parameters as one vector ``(P,)``, each flattened row-major; a detached copy."""
        return self.flatten(self.parameters)

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Concatenate tensors named like the parameters into a vector ``(P,)``."""
        return torch.cat([tensors[name].detach().reshape(-1) for name in self.parameters])

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Split a vector ``(P,)`` into tensors shaped and named like the parameters."""
        if vector.shape != (self.num_parameters,):
            raise ProblemError(f"expected a vector of shape ({self.num_parameters},), got {tuple(vector.shape)}")
        pieces = torch.split(vector, [p.numel() for p in self.parameters.values()])
        return {name: piece.view_as(p) for (name, p), piece in zip(self.parameters.items(), pieces, strict=True)}

    def at(self, vector: Tensor) -> "Problem":
        """The same problem at other parameters ``(P,)``; this one keeps its own."""
        model = copy.deepcopy(self.model)
        values = self.unflatten(vector.to(self.dtype))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in values:
                    parameter.copy_(values[name])
        return replace(self, model=model)


def _together(pieces: list[Tensor]) -> Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _checked_batches(batches: Sequence[Batch]) -> tuple[Batch, ...]:
    """Refuse batches that are not one data set."""
    checked = tuple((inputs, targets) for inputs, targets in batches)
    if not checked:
        raise ProblemError("a problem needs at least one batch (inputs, targets)")
    for inputs, targets in checked:
        if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
            raise ProblemError("inputs and targets of a batch must be tensors")
        if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
            raise ProblemError(
                f"inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)} must share their first axis, the samples"
            )
    if sum(len(inputs) for inputs, _ in checked) == 0:
        raise ProblemError("all batches are empty; curvature of no data is undefined")
    for kind in (0, 1):
        if len({(batch[kind].shape[1:], batch[kind].dtype, batch[kind].device) for batch in checked}) > 1:
            shapes = [tuple(batch[kind].shape) for batch in checked]
            raise ProblemError(
                f"{('inputs', 'targets')[kind]} of the batches differ beyond their first axis {shapes}, or in dtype or "
                "device; batches are pieces of one data set and must concatenate"
            )
    return checked


def _check_parameters(problem: Problem) -> None:
    """Refuse a model without trainable parameters, or with several dtypes or devices."""
    parameters = problem.parameters.values()
    if not parameters:
        raise ProblemError("the model has no parameter that requires gradients; nothing has a curvature")
    if not all(p.is_floating_point() for p in parameters):
        raise ProblemError("complex parameters are not supported")
    if len({(p.dtype, p.device) for p in parameters}) > 1:
        raise ProblemError("the parameters have several dtypes or devices; move the model with model.to(dtype, device)")
    inputs = problem.batches[0][0]
    if inputs.device != problem.device:
        raise ProblemError(f"the data are on {inputs.device}, the parameters on {problem.device}")


def _check_modules(model: nn.Module) -> None:
    """Refuse modules for which the gradient of one sample is undefined or no derivative."""
    for name, module in model.named_modules():
        where = f"{name or 'the model'} ({type(module).__name__})"
        if module.training and isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            raise ProblemError(f"{where} is in training mode, so the outputs are random; call model.eval() first")
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (module.training or not module.track_running_stats):
            raise ProblemError(f"{where} mixes the samples of a batch, so no sample has a gradient; use model.eval()")
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and (module.max_norm is not None or module.scale_grad_by_freq):
            raise ProblemError(f"{where}: max_norm and scale_grad_by_freq make the gradient no derivative; leave them out")
