"""Images of handwritten digits, which come with scikit-learn."""

import importlib
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import UnsupportedError

CLASSES = 10
LARGEST = 16  # value of a pixel


def digits(samples: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Some of the 1797 images of eight by eight pixels, in an order drawn from the seed.

    Args:
        samples: how many.
        seed: of the order.

    Returns:
        Images ``(samples, 1, 8, 8)`` in float64, between -1 and 1, and their labels.

    Raises:
        UnsupportedError: scikit-learn is not installed.

    Example:
        >>> images, labels = digits(32)
        >>> images.shape, int(labels.max())
        (torch.Size([32, 1, 8, 8]), 9)

    Reference:
        Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository (1998).
    """
    pixels, labels = (torch.from_numpy(array) for array in _datasets().load_digits(return_X_y=True))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:samples]
    return (pixels[order].double() * 2 / LARGEST - 1).view(-1, 1, 8, 8), labels[order].long()


def _datasets() -> Any:
    try:
        return importlib.import_module("sklearn.datasets")
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "the digits come with scikit-learn, which is not installed; run: pip install 'fishergauge[report]', or take the "
            "problem of the same size on drawn data"
        ) from error
