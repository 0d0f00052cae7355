"""Which likelihood belongs to which loss module."""

from torch import nn

from fishergauge.reference.bernoulli import Bernoulli
from fishergauge.reference.categorical import Categorical
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.gaussian import Gaussian
from fishergauge.reference.likelihood import Likelihood

LIKELIHOODS: dict[type[nn.Module], type[Likelihood]] = {
    nn.MSELoss: Gaussian,
    nn.CrossEntropyLoss: Categorical,
    nn.BCEWithLogitsLoss: Bernoulli,
}


def likelihood_of(loss: nn.Module) -> Likelihood:
    """The likelihood that belongs to a loss module.

    Args:
        loss: an instance of ``MSELoss``, ``CrossEntropyLoss`` or ``BCEWithLogitsLoss``.

    Returns:
        The matching :class:`Likelihood`.

    Raises:
        ProblemError: the loss is of another type, or its reduction is ``none``.

    Example:
        >>> type(likelihood_of(nn.MSELoss())).__name__
        'Gaussian'
    """
    for kind, likelihood in LIKELIHOODS.items():
        if isinstance(loss, kind):
            return likelihood(loss)
    known = ", ".join(kind.__name__ for kind in LIKELIHOODS)
    raise ProblemError(f"no likelihood is known for {type(loss).__name__}; use one of {known}")
