"""The Jacobian of a network of linear layers from the inputs of its layers and the gradients at their outputs."""

import torch
from torch import Tensor, nn

from fishergauge.reference import ProblemError, UnsupportedError


def layer_jacobian(model: nn.Module, inputs: Tensor) -> Tensor:
    r"""Derivatives of all outputs of all samples in one forward and C backward passes.

    A layer maps :math:`a \mapsto W a + b`. Samples do not meet, so that one backward pass from the sum of an output over the
    samples gives :math:`g_n`, the gradient of that output of sample n at the layer's output, for all n at once; then

    .. math:: \frac{\partial f_{nc}}{\partial W} = g_n a_n', \quad \frac{\partial f_{nc}}{\partial b} = g_n

    Nothing is checked beyond the shapes and the layers: a model that mixes samples gives a wrong result.

    Args:
        model: whose parameters all belong to ``nn.Linear`` layers, each used once on a matrix ``(N, D)``.
        inputs: ``(N, ...)``.

    Returns:
        ``(N, C, P)``, in the order of ``named_parameters``.

    Raises:
        UnsupportedError: a parameter belongs to something else than a linear layer, or is shared or frozen.
        ProblemError: a layer is not used exactly once, or outputs or layers are no matrices.

    Example:
        >>> layer_jacobian(nn.Linear(1, 1), torch.tensor([[3.0]]))
        tensor([[[3., 1.]]])

    Reference:
        Dangel, Kunstner and Hennig, "BackPACK: packing more into backprop", ICLR 2020, sec. 2.2.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    owned = [id(part) for layer in layers for part in layer.parameters(recurse=False)]
    if owned != [id(part) for part in model.parameters()] or not all(part.requires_grad for part in model.parameters()):
        raise UnsupportedError(
            "every parameter must be trained and belong to one nn.Linear; use output_jacobian for the others"
        )
    calls: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in layers}

    def note(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        calls[module].append((given[0].detach().clone(), output))
        return output.clone()  # what follows may work in place

    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.enable_grad():
            outputs: Tensor = model(inputs)
            totals = outputs.sum(0).unbind()
    finally:
        for handle in handles:
            handle.remove()
    if any(len(called) != 1 for called in calls.values()):
        raise ProblemError("every layer must be used exactly once: its weight has one input then; use output_jacobian instead")
    taken = [calls[layer][0] for layer in layers]
    if outputs.ndim != 2 or any(a.ndim != 2 for a, _ in taken):
        raise ProblemError(
            "outputs and inputs of the layers must be matrices (N, D); flatten further axes, or use output_jacobian"
        )
    rows = []
    for total in totals:
        gradients = torch.autograd.grad(total, [output for _, output in taken], retain_graph=True)
        pieces = []
        for layer, (a, _), g in zip(layers, taken, gradients, strict=True):
            pieces.append((g[:, :, None] * a[:, None, :]).flatten(1))
            if layer.bias is not None:
                pieces.append(g)
        rows.append(torch.cat(pieces, 1))
    return torch.stack(rows, 1)
