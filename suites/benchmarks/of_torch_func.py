"""What torch.func offers without any library: gradients of samples, products by forward and reverse mode, dense matrices."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, func
from torch.func import functional_call, grad, jacrev, vmap

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.adapters import either, matrix_too_large, not_classification, too_many_rows
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.task import Operation, Task, vector_of
from fishergauge.suites.peers.adapting import joined, own_model, quiet, shaped, trained

Parameters = dict[str, Tensor]
jvp: Any = func.jvp  # without has_aux they return pairs, which their types do not say
vjp: Any = func.vjp
linearize: Any = func.linearize
CHUNK_BYTES = 2**27


def implementations() -> list[Implementation]:
    """The recipes of torch's documentation for these tasks."""
    found = [_made("gradient", "rows", _rows, either(not_classification, too_many_rows))]
    for quantity in ("fisher", "ggn"):
        found += [
            _made(quantity, "dense", _dense, either(not_classification, matrix_too_large)),
            _made(quantity, "product", _product, not_classification),
            _made(quantity, "first-product", _first_product, not_classification),
        ]
    found.append(_made("empirical-fisher", "dense", _empirical, either(not_classification, matrix_too_large, too_many_rows)))
    found += [
        _made("hessian", "product", _hessian_product, not_classification),
        _made("hessian", "first-product", _hessian_product, not_classification),
    ]
    return found


def _made(
    quantity: str, operation: Operation, prepare: Callable[[Problem], Call], refuses: Callable[[Problem], str | None]
) -> Implementation:
    return Implementation("torch.func", "peer", Task(quantity, operation), prepare, refuses=refuses)


def _functional(problem: Problem) -> tuple[Parameters, Callable[[Parameters, Tensor], Tensor]]:
    """The parameters, and the model as a function of them and of the inputs."""
    model = own_model(problem)
    values = {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}
    return values, lambda parameters, inputs: functional_call(model, parameters, (inputs,))


def _row_function(problem: Problem) -> Callable[[], Tensor]:
    values, outputs = _functional(problem)

    def term(parameters: Parameters, inputs: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = problem.loss(outputs(parameters, inputs[None]), target[None])
        return loss

    gradients = vmap(grad(term), (None, 0, 0))

    def rows() -> Tensor:
        found = gradients(values, problem.inputs, problem.targets)
        return torch.cat([found[name].flatten(1) for name in values], 1)

    return rows


def _rows(problem: Problem) -> Call:
    return _row_function(problem)


def _empirical(problem: Problem) -> Call:
    rows = _row_function(problem)

    def dense() -> Tensor:
        found = rows()
        return found.T @ found / len(found)

    return dense


def _dense(problem: Problem) -> Call:
    """J' H J / N with the Jacobians of some samples at a time, so that they fit into the memory."""
    values, outputs = _functional(problem)
    jacobian = vmap(jacrev(lambda parameters, inputs: outputs(parameters, inputs[None])[0]), (None, 0))
    row = problem.outputs.shape[1] * problem.num_parameters * problem.dtype.itemsize
    step = max(1, CHUNK_BYTES // row)

    def dense() -> Tensor:
        matrix = problem.inputs.new_zeros(problem.num_parameters, problem.num_parameters)
        for inputs in torch.split(problem.inputs, step):
            found = jacobian(values, inputs)
            rows = torch.cat([found[name].flatten(2) for name in values], 2)
            probabilities = outputs(values, inputs).softmax(1)
            root = probabilities.sqrt()
            # the root of diag(p) - p p': its rows are those of diag(sqrt p) (I - 1 p')
            centred = rows - (probabilities[:, None] @ rows)
            flat = (root[:, :, None] * centred).flatten(0, 1)
            torch.addmm(matrix, flat.T, flat, out=matrix)
        return matrix / problem.num_samples

    return dense


def _outputs_of(problem: Problem) -> tuple[Callable[..., Tensor], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The outputs as a function of the parameters, these, and the vector in their shapes."""
    model = own_model(problem)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]

    def outputs(*parameters: Tensor) -> Tensor:
        result: Tensor = functional_call(model, dict(zip(names, parameters, strict=True)), (problem.inputs,))
        return result

    return outputs, tuple(parameter.detach() for parameter in trained(model)), tuple(shaped(vector_of(problem), model))


def _first_product(problem: Problem) -> Call:
    """Forward mode through the model, the Hessian of the loss, reverse mode through the model."""
    outputs, values, pieces = _outputs_of(problem)
    gradient = grad(lambda logits: problem.loss(logits, problem.targets))

    def product() -> Tensor:
        with quiet():
            _, pushed = jvp(outputs, values, pieces)
            logits, pull = vjp(outputs, *values)
            _, weighed = jvp(gradient, (logits,), (pushed,))
            return joined(pull(weighed))

    return product


def _product(problem: Problem) -> Call:
    """The same with the linearised model and the graph of its reverse mode at hand."""
    outputs, values, pieces = _outputs_of(problem)
    gradient = grad(lambda logits: problem.loss(logits, problem.targets))
    with quiet():
        _, push = linearize(outputs, *values)
        logits, pull = vjp(outputs, *values)

    def product() -> Tensor:
        with quiet():
            _, weighed = jvp(gradient, (logits,), (push(*pieces),))
            return joined(pull(weighed))

    return product


def _hessian_product(problem: Problem) -> Call:
    """Forward mode through the gradient."""
    values, outputs = _functional(problem)
    pieces: Any = dict(zip(values, shaped(vector_of(problem), own_model(problem)), strict=True))
    gradient = grad(lambda parameters: problem.loss(outputs(parameters, problem.inputs), problem.targets))

    def product() -> Tensor:
        with quiet():
            _, found = jvp(gradient, (values,), (pieces,))
        return joined([found[name] for name in values])

    return product
