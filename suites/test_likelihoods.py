"""Likelihoods: derivatives against autograd, and enumerated labels against their moments."""

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import UnsupportedError, likelihood_of
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.seeding import generator

TERMS, WIDTH = 6, 3


def _normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator("likelihoods", shape), dtype=torch.float64)


WEIGHT = _normal(WIDTH).abs() + 0.2
HARD = torch.tensor([0, 2, 1, -100, 2, 0])
BITS = (_normal(TERMS, WIDTH) > 0).double()
CASES = {
    "squared": (nn.MSELoss(), _normal(TERMS, WIDTH)),
    "categorical": (nn.CrossEntropyLoss(), HARD),
    "categorical-weights": (nn.CrossEntropyLoss(WEIGHT), HARD),
    "categorical-smoothing": (nn.CrossEntropyLoss(label_smoothing=0.3), HARD),
    "categorical-weights-smoothing": (nn.CrossEntropyLoss(WEIGHT, label_smoothing=0.3), HARD),
    "categorical-soft": (nn.CrossEntropyLoss(WEIGHT, label_smoothing=0.1), _normal(TERMS, WIDTH).softmax(1)),
    "binary": (nn.BCEWithLogitsLoss(), BITS),
    "binary-weights": (nn.BCEWithLogitsLoss(WEIGHT, pos_weight=2 * WEIGHT), BITS),
    "binary-sample-weights": (nn.BCEWithLogitsLoss(_normal(TERMS, 1).abs()), BITS),
    "binary-soft": (nn.BCEWithLogitsLoss(pos_weight=WEIGHT), _normal(TERMS, WIDTH).sigmoid()),
}
every_case = pytest.mark.parametrize("case", CASES)


@every_case
def test_terms_over_the_divisor_are_the_loss_of_torch(case: str) -> None:
    loss, targets = CASES[case]
    outputs, likelihood = _normal(TERMS, WIDTH) + 0.5, likelihood_of(loss)
    terms = likelihood.values(outputs, likelihood.labels(targets))
    assert_close(terms.sum() / likelihood.divisor(outputs, targets), loss(outputs, targets), "sum of terms")


@every_case
def test_residuals_and_hessians_are_the_derivatives(case: str) -> None:
    loss, targets = CASES[case]
    likelihood = likelihood_of(loss)
    labels, outputs = likelihood.labels(targets), (_normal(TERMS, WIDTH) + 0.5).requires_grad_()
    (slope,) = torch.autograd.grad(likelihood.values(outputs, labels).sum(), outputs, create_graph=True)
    assert_close(likelihood.residuals(outputs, labels).detach(), slope.detach(), "residuals")
    rows = torch.stack([torch.autograd.grad(slope[:, c].sum(), outputs, retain_graph=True)[0] for c in range(WIDTH)], 1)
    assert_close(likelihood.hessian(outputs, labels).detach(), rows.detach(), "output Hessian")


@pytest.mark.parametrize("case", ["squared", "categorical", "binary"])
def test_enumerated_labels_reproduce_the_output_hessian(case: str) -> None:
    loss, _ = CASES[case]
    outputs, likelihood = _normal(TERMS, WIDTH), likelihood_of(loss)
    weights, labels = likelihood.enumerate(outputs)
    slopes = torch.stack([likelihood.residuals(outputs, label) for label in labels])
    assert_close(weights.sum(0), torch.ones(TERMS, dtype=torch.float64), "probabilities")
    assert float(torch.einsum("lk,lkc->kc", weights, slopes).abs().max()) < 1e-14
    hessian = likelihood.hessian(outputs, likelihood.labels(CASES[case][1].clamp(min=0)))
    assert_close(torch.einsum("lk,lkc,lkd->kcd", weights, slopes, slopes), hessian, "second moment of the gradients")


@pytest.mark.parametrize("case", ["squared", "categorical", "binary"])
def test_samples_have_the_frequencies_of_the_distribution(case: str) -> None:
    loss, _ = CASES[case]
    outputs, likelihood = torch.tensor([[0.0, 1.0, -1.0]], dtype=torch.float64), likelihood_of(loss)
    draws = 40_000
    labels = likelihood.sample(outputs, draws, generator("sample", case))[:, 0]
    if case == "categorical":
        labels = nn.functional.one_hot(labels, WIDTH).double()
        mean, spread = outputs[0].softmax(0), (outputs[0].softmax(0) * (1 - outputs[0].softmax(0))).sqrt()
    elif case == "binary":
        mean, spread = outputs[0].sigmoid(), (outputs[0].sigmoid() * (-outputs[0]).sigmoid()).sqrt()
    else:
        mean, spread = outputs[0], torch.full((WIDTH,), 0.5**0.5, dtype=torch.float64)
        # the standard error of a sample variance is its value times sqrt(2 / draws)
        assert float((labels.var(0) / 0.5 - 1).abs().max()) < 6 * (2 / draws) ** 0.5
    assert float(((labels.mean(0) - mean) / (spread / draws**0.5)).abs().max()) < 6


def test_too_many_binary_labels_are_not_enumerated() -> None:
    with pytest.raises(UnsupportedError, match=r"13 binary labels a term have 2\^13 values"):
        likelihood_of(nn.BCEWithLogitsLoss()).enumerate(torch.zeros(1, 13))
