"""Derivatives of the outputs with respect to the parameters: rows of samples, and products."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp, vmap

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.evaluation import called_at, differentiable_attention
from fishergauge.reference.problem import Problem

CHUNK_BYTES = 64 * 2**20

Parameters = dict[str, Tensor]
Evaluate = Callable[[Parameters], Tensor]


def split_outputs(problem: Problem, inputs: Tensor) -> Evaluate:
    """The terms of ``inputs`` as a function of the parameters: ``dict -> (N, T, C)``."""

    at = called_at(problem.model, list(problem.parameters))

    def evaluate(parameters: Parameters) -> Tensor:
        return problem.likelihood.split(at(parameters, (inputs,)))

    return evaluate


def differentiated(function: Callable[[Any], Any], point: Any) -> tuple[Any, Callable[[Any], tuple[Any]]]:
    """The value of a function and its pull-back; ``torch.func.vjp`` without its optional third result."""
    value, pull = vjp(function, point)[:2]
    return value, pull


def detached(problem: Problem) -> Parameters:
    """The parameters as plain tensors."""
    return {name: p.detach() for name, p in problem.parameters.items()}


def output_jacobian(problem: Problem) -> Tensor:
    r"""Jacobians of the terms, :math:`J_k = \partial z_k / \partial \theta`.

    Args:
        problem: with K terms of C outputs and P parameters.

    Returns:
        ``(K, C, P)``.

    Raises:
        ProblemError: the model mixes the samples of a batch.

    Example:
        >>> problem = Problem(torch.nn.Linear(2, 1), torch.nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))])
        >>> output_jacobian(problem)[0]
        tensor([[1., 1., 1.]])
    """
    outputs = problem.likelihood.split(problem.outputs)
    count, positions, width = outputs.shape
    identity = torch.eye(width, dtype=outputs.dtype, device=outputs.device)
    rows = list(root_rows(problem, outputs, identity.expand(count, positions, width, width)))
    return torch.cat(rows).reshape(count * positions, width, -1)


def root_rows(problem: Problem, outputs: Tensor, root: Tensor) -> Iterator[Tensor]:
    r"""Rows :math:`b_{kr}' J_k`, for all terms k and rows r of an output-space root, a chunk of samples at a time.

    Args:
        problem: the problem; P parameters.
        outputs: the outputs of a whole-batch evaluation, ``(N, T, C)``, to compare with.
        root: the vectors b, ``(N, T, R, C)``.

    Yields:
        ``(n T R, P)`` for n samples at a time, in their order.

    Raises:
        ProblemError: a sample alone does not give the outputs that it gives within the batch.
    """
    count, positions, rank, width = root.shape
    longest = max(problem.num_parameters, positions * width)  # a row, or the cotangent that it is pulled back from
    chunk = max(1, CHUNK_BYTES // (positions * rank * longest * outputs.element_size()))
    for start in range(0, count, chunk):
        part = slice(start, start + chunk)
        yield _rows(problem, problem.inputs[part], outputs[part], _cotangents(root[part])).flatten(0, 1)


def _rows(problem: Problem, inputs: Tensor, outputs: Tensor, cotangents: Tensor) -> Tensor:
    """The rows of some samples, ``(n, T R, P)``: all samples at once where torch can, one by one where it cannot.

    Some operations have no batching rule (recurrent layers) or a wrong one (``PReLU``). The rows are therefore
    compared with one plain backward pass, which they must add up to.
    """
    evaluate_one = _one_sample(problem)
    with differentiable_attention():
        try:
            values, rows = vmap(evaluate_one)(inputs, cotangents)
        except RuntimeError:  # no batching rule; a model that fails anyway fails again below
            rows = None
        if rows is None or (same_outputs(values, outputs) and not _add_up(problem, inputs, cotangents, rows)):
            values, rows = (torch.stack(z) for z in zip(*map(evaluate_one, inputs, cotangents), strict=True))
    if not same_outputs(values, outputs):
        raise ProblemError(
            "the model mixes samples, or its outputs are random: one sample alone gives other outputs than within its "
            "batch, so that no sample has a gradient of its own"
        )
    return rows


def _one_sample(problem: Problem) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Outputs ``(T, C)`` and rows ``(T R, P)`` of one sample as a function of its input and cotangents."""
    parameters = detached(problem)

    def evaluate(inputs: Tensor, cotangents: Tensor) -> tuple[Tensor, Tensor]:
        value, pull = differentiated(split_outputs(problem, inputs[None]), parameters)
        gradients = vmap(lambda u: pull(u[None])[0])(cotangents)
        return value[0], torch.cat([g.reshape(len(cotangents), -1) for g in gradients.values()], 1)

    return evaluate


def same_outputs(values: Tensor, outputs: Tensor) -> bool:
    """Whether outputs agree to half the digits."""
    tolerance = torch.finfo(outputs.dtype).eps ** 0.5
    return bool(((values - outputs).abs() <= tolerance * (1 + outputs.abs().max())).all())


def _add_up(problem: Problem, inputs: Tensor, cotangents: Tensor, rows: Tensor) -> bool:
    """Whether the rows, with fixed weights of both signs, add up to one backward pass over all samples."""
    if rows.shape[-1] != problem.num_parameters:
        return False
    weights = torch.arange(cotangents[:, :, 0, 0].numel(), dtype=rows.dtype, device=rows.device).cos()
    weights = weights.view(len(inputs), -1)
    _, pull = differentiated(split_outputs(problem, inputs), detached(problem))
    together = pull(torch.einsum("nk,nktc->ntc", weights, cotangents))[0]
    expected = torch.cat([g.reshape(-1) for g in together.values()])
    difference = torch.einsum("nk,nkp->p", weights, rows) - expected
    return bool(difference.norm() <= torch.finfo(rows.dtype).eps ** 0.5 * weights.norm() * rows.norm())


def _cotangents(root: Tensor) -> Tensor:
    """Place each row at its own position: ``(n, T, R, C) -> (n, T R, T, C)``, zero at other positions."""
    count, positions, rank, width = root.shape
    if positions == 1:
        return root.reshape(count, rank, 1, width)
    at_position = torch.eye(positions, dtype=root.dtype, device=root.device)[:, None, :, None]
    return (root[:, :, :, None, :] * at_position).reshape(count, positions * rank, positions, width)


def pull_back(problem: Problem, cotangents: Tensor) -> Tensor:
    r"""Product :math:`\sum_k J_k' u_k`.

    Args:
        problem: K terms, P parameters.
        cotangents: u, ``(K, C)`` or, for several products, ``(B, K, C)``.

    Returns:
        ``(P,)`` or ``(B, P)``.
    """
    evaluate, parameters = split_outputs(problem, problem.inputs), detached(problem)
    if cotangents.ndim == 2:
        return pulled_back(evaluate, parameters, cotangents[None])[0]
    return pulled_back(evaluate, parameters, cotangents)


def pulled_back(evaluate: Evaluate, parameters: Parameters, cotangents: Tensor) -> Tensor:
    """The products of :func:`pull_back` at given parameters: ``(B, K, C)`` to ``(B, P)``; differentiable in the vectors."""
    with differentiable_attention():
        value, pull = differentiated(evaluate, parameters)

        def product(u: Tensor) -> Tensor:
            return torch.cat([g.reshape(-1) for g in pull(u.reshape(value.shape))[0].values()])

        return vmap(product)(cotangents) if len(cotangents) > 1 else product(cotangents[0])[None]


def push_forward(problem: Problem, outputs: Tensor, vectors: Tensor) -> Tensor:
    r"""Products :math:`J_k v`, as the transpose of :func:`pull_back`.

    Forward-mode differentiation is avoided on purpose: through ``Embedding(padding_idx=...)`` it is not
    the transpose of reverse mode, and fused attention has none.

    Args:
        problem: K terms, P parameters.
        outputs: the evaluated outputs, ``(N, T, C)``; only their shape counts.
        vectors: ``(B, P)``.

    Returns:
        ``(B, K, C)``.
    """
    named = vmap(problem.unflatten)(vectors)
    return pushed_forward(split_outputs(problem, problem.inputs), detached(problem), outputs, named)


def pushed_forward(evaluate: Evaluate, parameters: Parameters, outputs: Tensor, vectors: Parameters) -> Tensor:
    """The products of :func:`push_forward` at given parameters, with vectors by name; differentiable in the vectors."""

    def transposed(u: Tensor) -> Parameters:
        gradients: Parameters = differentiated(evaluate, parameters)[1](u)[0]
        return gradients

    def product(v: Parameters) -> Tensor:
        result: Tensor = push(v)[0]
        return result

    with differentiable_attention():
        _, push = differentiated(transposed, torch.zeros_like(outputs))
        return vmap(product)(vectors).flatten(1, 2)
