"""A network at several parameter vectors at once."""

import torch
from torch import Tensor, nn
from torch.func import vmap

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.evaluation import called_at, differentiable_attention
from fishergauge.reference.problem import Problem

SAMPLES_AT_ONCE = 64


def outputs_at(problem: Problem, vectors: Tensor, inputs: Tensor, chunk: int = SAMPLES_AT_ONCE) -> Tensor:
    """The outputs of the model at several parameter vectors.

    Args:
        problem: whose model it is.
        vectors: ``(S, P)``.
        inputs: ``(N, ...)``.
        chunk: how many vectors at a time.

    Returns:
        ``(S, N, ...)``.

    Raises:
        ProblemError: there is no vector, or one of another length, or the model refuses the inputs.
    """
    if vectors.ndim != 2 or len(vectors) == 0 or vectors.shape[1] != problem.num_parameters:
        raise ProblemError(f"expected vectors (S, {problem.num_parameters}) with S > 0, got {tuple(vectors.shape)}")
    at = called_at(problem.model, list(problem.parameters))

    def evaluate(vector: Tensor) -> Tensor:
        outputs: Tensor = at(problem.unflatten(vector), (inputs,))
        return outputs

    with torch.no_grad(), differentiable_attention():
        accepted(problem.model, inputs)
        first = evaluate(vectors[0])
        try:
            together: Tensor = vmap(evaluate, chunk_size=chunk)(vectors)
        except RuntimeError:  # no batching rule (recurrent layers); a model that fails anyway fails again below
            together = first[None]
        # some batching rules are wrong (PReLU), and show it in the first sample
        tolerance = torch.finfo(first.dtype).eps ** 0.5 * (1 + first.abs().max())
        if len(together) != len(vectors) or not bool(((together[0] - first).abs() <= tolerance).all()):
            together = torch.stack([evaluate(vector) for vector in vectors])
    return together


def accepted(model: nn.Module, inputs: Tensor) -> Tensor:
    """The outputs of the model at its own parameters.

    Raises:
        ProblemError: it refuses the inputs, for their shape, dtype or device, or there are none.
    """
    if not isinstance(inputs, Tensor) or inputs.ndim == 0 or len(inputs) == 0:
        raise ProblemError("inputs are a tensor (N, ...) with N > 0")
    try:
        outputs: Tensor = model(inputs)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ProblemError(
            f"the model refuses inputs of shape {tuple(inputs.shape)} and {inputs.dtype} on {inputs.device}: {error}"
        ) from error
    return outputs
