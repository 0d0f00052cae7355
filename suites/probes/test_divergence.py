"""The probe of the divergence: its limit is d'Fd, wrong matrices are seen, and what cannot be seen is not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fishergauge import reference
from fishergauge.reference import Facts, Problem, fisher, ggn, kl_divergence
from fishergauge.suites.benchmarks.problems import perceptron
from fishergauge.suites.claim import NotHere
from fishergauge.suites.correct import correct_subjects
from fishergauge.suites.probes import divergence
from fishergauge.suites.probes.divergence import least_form
from fishergauge.suites.probes.probe import ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import zoo_problem

PROBE = divergence.PROBES[0]
CORRECT = correct_subjects()
CLAIMED = ("exact-fisher", "exact-ggn", "ggn-scipy", "fisher-layer-blocks", "fisher-parameter-blocks", "fisher-diagonal")
DTYPES = (torch.float64, torch.float32)


def perceptron_in(dtype: torch.dtype = torch.float64) -> Problem:
    made = perceptron((5, 6, 4), 8, "divergence")
    if dtype == torch.float64:
        return made
    return replace(made, model=made.model.to(dtype), batches=[(x.to(dtype), y) for x, y in made.batches])


def measured(subject: Subject, problem: Problem, seed: int = 0) -> ProbeFinding:
    return PROBE.measure(ProbeCase(subject, problem, tags_of(problem), seed=seed))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CLAIMED)
def test_correct_subjects_make_the_claim_and_keep_it(name: str, dtype: torch.dtype) -> None:
    assert PROBE.made_by(CORRECT[name])
    finding = measured(CORRECT[name], perceptron_in(dtype))
    assert finding.holds, finding
    assert finding.bound < 1e-2


@pytest.mark.parametrize(
    "name", ["mlp-tanh-gaussian", "multilabel-regression", "masked-labels", "attention", "binary-per-position"]
)
def test_other_likelihoods_and_positions_are_no_defects(name: str) -> None:
    finding = measured(CORRECT["exact-fisher"], zoo_problem(name))
    assert finding.holds, finding


class Words(nn.Module):
    """An embedding whose row for padding is declared constant, although the outputs depend on it."""

    def __init__(self) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(0)
        self.embedding = nn.Embedding(4, 3, padding_idx=0)
        self.head = nn.Linear(3, 2)
        self.double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=source, dtype=torch.float64))

    def forward(self, words: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embedding(words).mean(1).tanh())
        return logits


def test_a_row_that_is_declared_constant_is_left_alone() -> None:
    words = torch.tensor([[0, 1], [2, 3], [0, 2], [0, 0]])
    problem = Problem(Words(), nn.CrossEntropyLoss(), [(words, torch.tensor([0, 1, 1, 0]))])
    finding = measured(CORRECT["exact-fisher"], problem)
    assert finding.holds, finding
    assert finding.bound < 1e-4


def altered(change: Callable[[Tensor, Problem], Tensor]) -> Subject:
    return Subject("altered", lambda p: change(ggn(p).dense(), p), "ggn")


def one_direction(matrix: Tensor, amount: float) -> Tensor:
    """A symmetric matrix of rank one and norm ``amount``."""
    vector = torch.randn(len(matrix), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return amount * torch.outer(vector, vector) / vector.square().sum()


WRONG: dict[str, Subject] = {
    "half of it": altered(lambda m, p: m / 2),
    "a per mille": altered(lambda m, p: 1.001 * m),
    "the empirical Fisher": Subject("empirical", lambda p: reference.empirical_fisher(p).dense()),
    "its sign": altered(lambda m, p: -m),
    "a damping": altered(lambda m, p: m + 1e-6 * torch.eye(len(m), dtype=m.dtype)),
    "blocks sold as dense": altered(lambda m, p: ggn(p).block_diagonal("layer")),
    "K-FAC sold as the blocks": Subject("kfac", lambda p: reference.kfac(p).dense(), structure="block-diagonal", bias="joint"),
    "half a diagonal": Subject("half", lambda p: fisher(p).diagonal().diag() / 2, structure="diagonal"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_quadratic_form_is_seen(what: str) -> None:
    finding = measured(WRONG[what], perceptron_in())
    assert finding.measured > 10 * finding.bound
    assert "the divergence has" in finding.witness


def test_a_factor_is_seen_in_single_precision() -> None:
    assert not measured(altered(lambda m, p: 1.01 * m), perceptron_in(torch.float32)).holds


def test_an_antisymmetric_part_is_not_seen_as_the_probe_says() -> None:
    def with_turn(matrix: Tensor, problem: Problem) -> Tensor:
        noise = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return matrix + noise - noise.T

    assert "antisymmetric" in PROBE.blind
    finding = measured(altered(with_turn), perceptron_in())
    assert finding.measured < 1e-6


def test_a_defect_of_one_direction_is_seen_from_the_power_on() -> None:
    """Missed with a probability of at most 1e-6 for each seed."""
    problem = perceptron_in()
    power = measured(CORRECT["exact-ggn"], problem).power
    assert power is not None
    assert 0 < power < 1e-3
    size = float(ggn(problem).dense().norm())
    for seed in range(10):
        wrong = altered(lambda m, p: m + one_direction(m, 3 * power * size))  # the norm is an estimate
        assert not measured(wrong, problem, seed).holds


def test_the_limit_is_the_quadratic_form_of_the_fisher() -> None:
    problem = perceptron_in()
    case = ProbeCase(CORRECT["exact-fisher"], problem, tags_of(problem))
    matrix = fisher(problem).dense()
    along = divergence._Along(problem)
    direction = case.shared()[0][:, 0]
    coarse, fine = (divergence._extrapolated(along, direction, reach)[1] for reach in (0.04, 0.02))
    assert coarse / fine > 40  # of sixth order: 64
    limit, truncation = divergence._extrapolated(along, direction, 0.01)
    assert truncation < 1e-4
    assert limit == pytest.approx(float(direction @ matrix @ direction), rel=4 * truncation + 1e-9)
    assert float(along.divergence(0.01 * direction)) == pytest.approx(
        float(kl_divergence(problem, problem.vector + 0.01 * direction)), rel=1e-12
    )


def test_a_network_with_kinks_is_left_out() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    batches = [(torch.ones(5, 3).double(), torch.zeros(5, dtype=torch.long))]
    problem = Problem(model, nn.CrossEntropyLoss(), batches, facts=Facts(piecewise_linear=True))
    with pytest.raises(NotHere, match="kinks"):
        measured(CORRECT["exact-fisher"], problem)


@pytest.mark.parametrize(
    "values",
    [[1.0], [1.0, -1.0], [1.0, 1.0], [1.0] + [-0.03] * 30, [1.0, -0.05], [1.0, -0.2, -0.2], [1.0] * 20 + [-1.0] * 20],
    ids=str,
)
def test_no_symmetric_defect_has_more_mass_near_zero(values: list[float]) -> None:
    """The probability to miss is at most the promised one for every spectrum, and near it for the worst."""
    missed, draws, rng = 0.01, 400_000, np.random.default_rng(len(values))
    weights = np.array(values) / np.linalg.norm(values)
    largest = np.zeros(draws)
    for _ in range(2):
        forms = sum(w * rng.standard_normal(draws) ** 2 for w in weights)
        largest = np.maximum(largest, np.abs(forms))
    rate = float((largest < least_form(2, missed)).mean())
    assert rate <= missed + 5 * (missed / draws) ** 0.5


def test_the_worst_defect_is_missed_as_often_as_promised() -> None:
    """A large eigenvalue and many small ones of the other sign, that shift the form by c = q."""
    missed, draws = 0.01, 400_000
    q = least_form(2, missed)
    forms = np.random.default_rng(0).standard_normal((2, draws)) ** 2 - q
    rate = float((np.abs(forms).max(0) < q).mean())
    assert rate == pytest.approx(missed, abs=5 * (missed / draws) ** 0.5)
