"""The probe of estimators: unbiased ones are cleared, biased ones are seen, and its statistics are those of dense matrices."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from fishergauge import reference
from fishergauge.reference import Problem, monte_carlo_fisher
from fishergauge.suites.benchmarks.problems import perceptron
from fishergauge.suites.claim import NotHere
from fishergauge.suites.correct import Diagonal, correct_subjects, drawn_globally
from fishergauge.suites.probes import statistics
from fishergauge.suites.probes.power import critical_value
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of

PROBES = {probe.id: probe for probe in statistics.PROBES}
UNBIASED, FACTORS = PROBES["probe-unbiased"], PROBES["probe-unbiased-factors"]
CORRECT = correct_subjects()
CORRECT["blocks"] = Subject(
    "blocks", lambda p: drawn_globally(p, 1).block_diagonal("layer"), structure="block-diagonal", samples=1, bias="joint"
)
CORRECT["parameters"] = replace(
    CORRECT["blocks"], name="parameters", build=lambda p: drawn_globally(p, 1).block_diagonal("parameter"), bias="separate"
)


def problem_of(terms: int = 100, loss: nn.Module | None = None) -> Problem:
    made = perceptron((3, 4, 3), terms, "estimators")
    return made if loss is None else replace(made, loss=loss)


def measured(probe: Probe, subject: Subject, problem: Problem | None = None, seed: int = 0) -> ProbeFinding:
    problem = problem_of() if problem is None else problem
    return probe.measure(ProbeCase(subject, problem, tags_of(problem), seed=seed))


@pytest.mark.parametrize(
    ("probe", "name"),
    [
        (UNBIASED, "monte-carlo-1"),
        (UNBIASED, "monte-carlo-8"),
        (UNBIASED, "monte-carlo-diagonal"),
        (UNBIASED, "blocks"),
        (UNBIASED, "parameters"),
        (FACTORS, "monte-carlo-kfac"),
        (FACTORS, "monte-carlo-kfac-separate"),
    ],
    ids=lambda value: getattr(value, "id", value),
)
def test_correct_estimators_make_the_claim_and_keep_it(probe: Probe, name: str) -> None:
    assert probe.made_by(CORRECT[name])
    finding = measured(probe, CORRECT[name])
    assert finding.holds, finding
    assert finding.measured < 5  # of about twenty statistics: far from the critical value as well
    assert finding.power is not None
    assert 0 < finding.power < 0.3
    assert finding.interval is not None
    assert finding.interval[0] < finding.estimate < finding.interval[1]  # type: ignore[operator]


def dense(build: Any, samples: int = 1) -> Subject:
    return Subject("wrong", build, samples=samples)


def drawn(p: Problem, generator: Generator, samples: int = 1) -> Tensor:
    return monte_carlo_fisher(p, samples, generator).dense()


def eight_over_seven(p: Problem, generator: Generator, samples: int = 8) -> Tensor:
    return samples / (samples - 1) * drawn(p, generator, samples)


def divided_twice(p: Problem, generator: Generator, samples: int = 8) -> Tensor:
    return drawn(p, generator, samples) / samples


def same_labels(p: Problem, generator: Generator) -> Tensor:
    return drawn(p, Generator().manual_seed(7))


WRONG: dict[str, tuple[Probe, Subject]] = {
    "a bias of 15 per cent": (UNBIASED, dense(lambda p, generator: 1.15 * drawn(p, generator))),
    "divided by S twice": (UNBIASED, dense(divided_twice, 8)),
    "divided by S - 1": (UNBIASED, dense(eight_over_seven, 8)),
    "observed labels": (UNBIASED, dense(lambda p: reference.empirical_fisher(p).dense())),
    "the same labels whatever the seed": (UNBIASED, dense(same_labels)),
    "half of a diagonal": (
        UNBIASED,
        Subject("half", lambda p: Diagonal(drawn_globally(p, 1).diagonal() / 2), structure="diagonal", samples=1),
    ),
    "a joint bias sold as separate": (
        FACTORS,
        Subject(
            "sold",
            lambda p: reference.kfac(p, bias="joint", root_of=drawn_globally(p, 8)),
            structure="kronecker",
            samples=8,
            bias="separate",
        ),
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_bias_is_seen(what: str) -> None:
    probe, subject = WRONG[what]
    assert probe.made_by(subject)
    finding = measured(probe, subject)
    assert not finding.holds
    assert f"S = {subject.samples}" in finding.witness


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_repeated_data_leave_a_mean_and_multiply_a_sum(reduction: str) -> None:
    """Fewer terms than are wanted: the data are repeated, which an exact estimate must not notice."""
    problem = problem_of(40, nn.CrossEntropyLoss(reduction=reduction))
    finding = measured(UNBIASED, CORRECT["monte-carlo-1"], problem)
    assert finding.holds, finding
    wrong = dense(lambda p, generator: 1.3 * drawn(p, generator))
    assert not measured(UNBIASED, wrong, problem).holds


def test_a_matrix_that_draws_when_it_multiplies_is_drawn_anew() -> None:
    class Lazy:
        def __init__(self, problem: Problem) -> None:
            self.problem, self.shape = problem, (problem.num_parameters,) * 2

        def __matmul__(self, vectors: Tensor) -> Tensor:
            return drawn_globally(self.problem, 1) @ vectors

    assert measured(UNBIASED, Subject("lazy", Lazy, samples=1)).holds


def test_a_bias_of_the_size_of_the_power_is_seen() -> None:
    """Missed with a probability of 1e-6, at the spread that was measured; half of it may pass."""
    power = measured(UNBIASED, CORRECT["monte-carlo-8"]).power
    assert power is not None
    wrong = dense(lambda p, generator, samples: (1 + 1.5 * power) * drawn(p, generator, samples), 8)
    for seed in range(5):
        assert not measured(UNBIASED, wrong, seed=seed).holds


def test_statistics_are_bilinear_forms_of_the_matrix_and_expected_by_structure() -> None:
    problem = problem_of(10)
    dense_by_name = {
        "monte-carlo-1": reference.fisher(problem).dense(),
        "monte-carlo-diagonal": reference.fisher(problem).diagonal().diag(),
        "blocks": reference.fisher(problem).block_diagonal("layer"),
        "parameters": reference.fisher(problem).block_diagonal("parameter"),
        "monte-carlo-kfac": reference.kfac(problem).dense(),
        "monte-carlo-kfac-separate": reference.kfac(problem, bias="separate").dense(),
    }
    for name, matrix in dense_by_name.items():
        case = ProbeCase(CORRECT[name], problem, tags_of(problem))
        made = statistics._statistics(case)
        torch.testing.assert_close(made.expected, matrix @ made.vectors)
        other = torch.randn(matrix.shape, generator=Generator().manual_seed(0), dtype=torch.float64)
        found = made.of(other @ made.vectors)
        v, g = made.vectors.T
        first = [v @ other @ v, (matrix @ v) @ other @ v, g @ other @ g, (matrix @ g) @ other @ g]
        torch.testing.assert_close(found[:4], torch.stack(first))
        torch.testing.assert_close(found[4:].sum(), first[0])  # its parts
        assert len(found) == 4 + len(problem.parameters)


def test_rounding_is_no_bias_where_nothing_varies() -> None:
    """A matrix that is drawn but hardly varies: off by rounding alone, in single precision."""
    made = problem_of(400)
    single = replace(made, model=made.model.float(), batches=[(x.float(), y) for x, y in made.batches])

    def nearly(p: Problem, generator: Generator) -> Tensor:
        noise = 1e-7 * torch.randn((), generator=generator, dtype=torch.float32)
        return (1 + 3e-7 + noise) * reference.fisher(p).dense()

    finding = measured(UNBIASED, dense(nearly), single)
    assert finding.holds, finding
    assert finding.measured > 0


def test_kronecker_factors_whose_bias_is_not_declared_are_left_out() -> None:
    subject = replace(CORRECT["monte-carlo-kfac"], bias=None)
    with pytest.raises(NotHere, match="not declared"):
        measured(FACTORS, subject)


def test_the_bound_is_that_of_a_run_of_many_statistics() -> None:
    finding = measured(UNBIASED, CORRECT["monte-carlo-8"])
    assert finding.bound == critical_value(24)
    assert math.isclose(finding.bound, 9.86, abs_tol=0.01)
