"""The data sets of the experiments: the notebooks' generator, and real data that scikit-learn ships."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from fishergauge.reports.extras import require

Labelled = tuple[Tensor, Tensor]
REAL = {"digits": "load_digits", "wine": "load_wine", "breast-cancer": "load_breast_cancer"}
NAMES = ("synthetic", *REAL)


class DataError(ValueError):
    """There is no such data set; the message lists those there are."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """A classification problem, split into a training and a test part.

    Args:
        name: what :func:`load` calls it.
        inputs: ``(N, D)``, float64.
        targets: ``(N,)``, integers below ``num_classes``.
        test_inputs: ``(M, D)``, from the same distribution as ``inputs``.
        test_targets: ``(M,)``.
        num_classes: C.
        num_features: D.
        published_test: the test set of the notebooks where they have one; for the synthetic data it is
            drawn around other class centres than the training set.
    """

    name: str
    inputs: Tensor
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    num_classes: int
    num_features: int
    published_test: Labelled | None = None


@cache
def load(name: str, device: str = "cpu") -> DataSet:
    """Load a data set. The tensors are shared between calls: do not write to them.

    Args:
        name: one of :data:`NAMES`.
        device: where the tensors shall live. Draws are made on the CPU, so that they do not depend on it.

    Returns:
        The data set.

    Raises:
        DataError: there is no such data set.
        MissingExtraError: it comes with scikit-learn, which is not installed.

    Example:
        >>> load("synthetic").inputs.shape
        torch.Size([5000, 16])
    """
    if name == "synthetic":
        return _synthetic(device)
    if name in REAL:
        return _real(name, device)
    raise DataError(f"there is no data set {name!r}; choose from {', '.join(NAMES)}")


def class_centres(generator: torch.Generator, num_features: int = 16, num_classes: int = 10) -> Tensor:
    """The notebooks' class centres: orthogonal vectors of length 2.5, ``(C, D)``; needs D >= C."""
    centres = torch.randn(num_classes, num_features, dtype=torch.float64, generator=generator)
    q, _ = torch.linalg.qr(centres.T)
    scaled: Tensor = q[:, :num_classes].T * 2.5
    return scaled


def generate(
    n_samples: int = 5000,
    n_features: int = 16,
    n_classes: int = 10,
    noise_std: float = 1.0,
    seed: int = 42,
    centres: Tensor | None = None,
) -> Labelled:
    r"""The notebooks' generator: equally many draws a class around orthogonal centres, shuffled.

    .. math:: x = \mu_y + \sigma \varepsilon, \qquad \mu_c' \mu_d = 2.5^2 \, \delta_{cd}

    The draws are those that the notebook makes on a CPU after ``torch.manual_seed(seed)``, from a local generator.
    The centres are drawn from the seed too, so two seeds are two different classification problems.

    Args:
        n_samples: N, rounded down to a multiple of the number of classes.
        n_features: D.
        n_classes: C <= D.
        noise_std: sigma.
        seed: of the generator.
        centres: ``(C, D)``, instead of centres drawn from the seed.

    Returns:
        Inputs ``(N, D)`` in float64, and labels ``(N,)``.

    Example:
        >>> generate(n_samples=20)[0].shape
        torch.Size([20, 16])
    """
    generator = torch.Generator().manual_seed(seed)
    if centres is None:
        centres = class_centres(generator, n_features, n_classes)
    per_class = n_samples // n_classes
    inputs, labels = [], []
    for label, centre in enumerate(centres):
        noise = torch.randn(per_class, n_features, dtype=torch.float64, generator=generator)
        inputs.append(centre + noise * noise_std)
        labels.append(torch.full((per_class,), label, dtype=torch.long))
    order = torch.randperm(per_class * n_classes, generator=generator)
    return torch.cat(inputs)[order], torch.cat(labels)[order]


def _synthetic(device: str) -> DataSet:
    """The notebooks' training data, a test set of the same classes, and the published test set."""
    centres = class_centres(torch.Generator().manual_seed(42))
    parts = (generate(seed=42), generate(n_samples=1000, seed=1042, centres=centres), generate(n_samples=1000, seed=43))
    train, test, published = (tuple(tensor.to(device) for tensor in part) for part in parts)
    return DataSet("synthetic", train[0], train[1], test[0], test[1], 10, 16, (published[0], published[1]))


def _real(name: str, device: str) -> DataSet:
    """Data of scikit-learn, a quarter held out, standardised by the training part; constant features are dropped."""
    inputs, labels = getattr(require("sklearn.datasets"), REAL[name])(return_X_y=True)
    split = require("sklearn.model_selection").train_test_split
    train_x, test_x, train_y, test_y = (
        torch.as_tensor(part) for part in split(inputs, labels, test_size=0.25, random_state=0, stratify=labels)
    )
    train_x, test_x = train_x.double(), test_x.double()
    varies = train_x.amax(0) > train_x.amin(0)
    mean, std = train_x[:, varies].mean(0), train_x[:, varies].std(0, correction=0)
    standard = [((part[:, varies] - mean) / std).to(device) for part in (train_x, test_x)]
    targets = [part.long().to(device) for part in (train_y, test_y)]
    return DataSet(name, standard[0], targets[0], standard[1], targets[1], int(targets[0].max()) + 1, standard[0].shape[1])
