"""The digits: images with their own labels, drawn in an order, and what is said where scikit-learn is missing."""

import importlib

import pytest
import torch
from sklearn.datasets import load_digits

from fishergauge.reference import UnsupportedError
from fishergauge.suites.probes.large.catalogue import LARGE
from fishergauge.suites.probes.large.digits import digits


def test_images_keep_their_labels_and_lie_between_minus_one_and_one() -> None:
    images, labels = digits(40, seed=3)
    assert images.shape == (40, 1, 8, 8)
    pixels, known = load_digits(return_X_y=True)
    label_of = {tuple(image): int(label) for image, label in zip(pixels, known, strict=True)}
    assert [label_of[tuple(((image + 1) * 8).flatten().tolist())] for image in images] == labels.tolist()
    assert float(images.min()) == -1
    assert float(images.max()) == 1


def test_another_seed_gives_other_images() -> None:
    assert torch.equal(digits(8)[0], digits(8)[0])
    assert not torch.equal(digits(8)[0], digits(8, seed=1)[0])
    assert torch.equal(digits(8)[0], digits(16)[0][:8])


def test_without_scikit_learn_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UnsupportedError, match=r"scikit-learn.*pip install 'fishergauge\[report\]'"):
        LARGE["mlp-digits-1e5"].problem()
