"""Routes to the Jacobian of a model's outputs: by hand, by a loop, by torch.func, and by layers."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from fishergauge.reference import Problem, output_jacobian
from fishergauge.reports.gauss_newton.layer_jacobian import layer_jacobian
from fishergauge.reports.gauss_newton.log_normal_regression import SPREAD
from fishergauge.suites.seeding import generator

Route = Callable[[nn.Module, Tensor], Tensor]
WIDTHS = {"line": (1, 1), "network": (4, 8, 2)}


def model_and_inputs(name: str, samples: int, dtype: torch.dtype, device: str) -> tuple[nn.Module, Tensor]:
    """The published line on log-normal inputs, or a network 4-8-2 with tanh; parameters and inputs are drawn anew.

    Args:
        name: ``"line"`` or ``"network"``.
        samples: N.
        dtype: of parameters and inputs.
        device: where they are.
    """
    draws = generator("jacobian", name)
    widths = WIDTHS[name]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layer = nn.Linear(before, after, device="meta")  # draws no initial values
        layer.weight = nn.Parameter(torch.randn(after, before, generator=draws).to(device, dtype))
        layer.bias = nn.Parameter(torch.randn(after, generator=draws).to(device, dtype))
        layers += [layer, nn.Tanh()]
    inputs = torch.randn(samples, widths[0], generator=draws)
    inputs = (SPREAD * inputs).exp() if name == "line" else inputs
    return layers[0] if len(layers) == 2 else nn.Sequential(*layers[:-1]), inputs.to(device, dtype)


def by_hand(model: nn.Module, inputs: Tensor) -> Tensor:
    r"""The closed form: :math:`(x, 1)` for the line; for the network with one hidden layer the chain rule, written out."""
    ones = torch.ones_like(inputs[:, :1])
    if isinstance(model, nn.Linear):
        return torch.cat([inputs, ones], 1)[:, None]
    first, _, last = model.children()
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    hidden = torch.tanh(inputs @ first.weight.detach().T + first.bias.detach())
    inner = last.weight.detach() * (1 - hidden.square())[:, None, :]  # (N, C, hidden)
    outer = torch.eye(len(last.weight), dtype=inputs.dtype, device=inputs.device)[None, :, :, None] * hidden[:, None, None, :]
    bias = torch.eye(len(last.weight), dtype=inputs.dtype, device=inputs.device).expand(len(inputs), -1, -1)
    return torch.cat([(inner[..., None] * inputs[:, None, None, :]).flatten(2), inner, outer.flatten(2), bias], 2)


def by_loop(model: nn.Module, inputs: Tensor) -> Tensor:
    """One backward pass an output and sample, as the published program in torch has it."""
    outputs, parameters = model(inputs), list(model.parameters())
    rows = []
    for sample in range(outputs.shape[0]):
        for output in range(outputs.shape[1]):
            gradients = torch.autograd.grad(outputs[sample, output], parameters, retain_graph=True)
            rows.append(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    return torch.stack(rows).reshape(*outputs.shape, -1)


def by_func(model: nn.Module, inputs: Tensor) -> Tensor:
    """``jacrev`` of ``functional_call`` on the whole batch, as the source has it: N C cotangents through N samples."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    parts = jacrev(functional_call, argnums=1)(model, parameters, (inputs,))
    return torch.cat([part.flatten(2) for part in parts.values()], 2)


def by_sample(model: nn.Module, inputs: Tensor) -> Tensor:
    """``vmap`` over the samples of ``jacrev`` of one sample: C cotangents through each sample."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def evaluate(parameters: dict[str, Tensor], sample: Tensor) -> Tensor:
        outputs: Tensor = functional_call(model, parameters, (sample[None],))
        return outputs[0]

    parts = vmap(jacrev(evaluate), in_dims=(None, 0))(parameters, inputs)
    return torch.cat([part.flatten(2) for part in parts.values()], 2)


def by_reference(model: nn.Module, inputs: Tensor) -> Tensor:
    """The reference, which verifies model and rows as it goes."""
    with torch.no_grad():
        targets = torch.zeros_like(model(inputs))
    return output_jacobian(Problem(model, nn.MSELoss(), [(inputs, targets)]))


ROUTES: Mapping[str, Route] = {
    "analytic": by_hand,
    "torch loop": by_loop,
    "torch.func": by_func,
    "torch.func by sample": by_sample,
    "reference": by_reference,
    "layers": layer_jacobian,
}
"""The three published routes, and three of ours; the first is the one that others are compared with."""
