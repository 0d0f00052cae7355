"""Models that treat samples one by one by construction, so that no evaluation has to show it."""

from torch import nn

from fishergauge.reference.parameter_uses import is_bare
from fishergauge.reference.problem import Problem

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
ELEMENTWISE = (nn.Identity, nn.Tanh, nn.Sigmoid, nn.ReLU, nn.ReLU6, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus, nn.LeakyReLU)
POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)


def is_sample_wise(problem: Problem) -> bool:
    r"""Whether the model is a chain of modules each of which leaves the first axis of its input alone.

    That holds for sums over the last axis, for functions of single entries, for averages over the last axes and, given a
    batch axis, for convolutions. No other module is vouched for, nor one with hooks or methods of its own.

    Args:
        problem: all trained convolutions of whose model are known to be given a batch axis.

    Returns:
        False where it is not known.

    Example:
        >>> import torch
        >>> data = [(torch.ones(4, 2), torch.zeros(4, 3))]
        >>> chain = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
        >>> is_sample_wise(Problem(chain, nn.MSELoss(), data))
        True
        >>> is_sample_wise(Problem(nn.Sequential(chain, nn.Softmax(0)), nn.MSELoss(), data))
        False
    """
    return problem.inputs.ndim > 1 and _is_known(problem.model)


def _is_known(module: nn.Module) -> bool:
    """Whether a module is vouched for, at inputs of two axes or more."""
    if not is_bare(module):
        return False
    if type(module) is nn.Sequential:
        return all(_is_known(child) for child in module)
    if type(module) is nn.Flatten:
        return module.start_dim >= 1
    if type(module) in LAYERS:
        # a frozen convolution may be given no batch axis: nothing has looked at what enters it
        trained = isinstance(module.weight, nn.Parameter) and module.weight.requires_grad
        return type(module) is nn.Linear or trained
    return type(module) in ELEMENTWISE + POOLS
