"""Monte-Carlo estimators: what is drawn, how often, and what it is divided by."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.meta.bank.defect import (
    ALL,
    FISHERS,
    Declaration,
    Defect,
    Family,
    NoSuchMistake,
    Wrong,
    planted,
    unmatched,
)
from fishergauge.suites.meta.bank.labels import one_label_for_all, softened, uniform
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.scale import unit_variance
from fishergauge.suites.meta.bank.ways import rooted, scaled
from fishergauge.suites.subject import Subject

DRAWN = Family(FISHERS, ALL, True)
Build = Callable[..., Tensor]
Draw = Callable[[Pieces, int, Generator], Tensor]


def right_draw(pieces: Pieces, samples: int, generator: Generator) -> Tensor:
    """Labels from the model, ``(S, K, ...)``."""
    return pieces.problem.likelihood.sample(pieces.terms.outputs, samples, generator)


def estimate(pieces: Pieces, labels: Tensor) -> Tensor:
    """The mean of outer products of gradients at drawn labels."""
    outputs, likelihood = pieces.terms.outputs, pieces.problem.likelihood
    gradients = torch.stack([likelihood.scores(outputs, label) for label in labels], 1) * pieces.present[:, None, None]
    return pieces.of_root(gradients / math.sqrt(len(labels)))


def drawing(draw: Draw = right_draw, factor: Callable[[Pieces, int], float] = lambda p, s: 1.0, samples: int = 1) -> Build:
    """The callable of an estimator that draws so, times a factor."""
    default = samples

    def build(problem: Problem, generator: Generator, samples: int = default) -> Tensor:
        pieces = Pieces(problem)
        pieces.require_likelihood()
        return factor(pieces, samples) * estimate(pieces, draw(pieces, samples, generator))

    return build


def draw_softened(pieces: Pieces, samples: int, generator: Generator) -> Tensor:
    """Temperature 1.1; a Gaussian keeps its mean, with a standard deviation as much larger."""
    outputs = pieces.terms.outputs
    if isinstance(pieces.problem.loss, nn.MSELoss):
        return outputs + 1.1 * (right_draw(pieces, samples, generator) - outputs)
    return pieces.problem.likelihood.sample(outputs / 1.1, samples, generator)


def draw_uniform(pieces: Pieces, samples: int, generator: Generator) -> Tensor:
    """All labels equally likely."""
    return pieces.problem.likelihood.sample(torch.zeros_like(pieces.terms.outputs), samples, generator)


def draw_once(pieces: Pieces, samples: int, generator: Generator) -> Tensor:
    """The labels of a term that is drawn too, for all terms."""
    labels = right_draw(pieces, samples, generator)
    chosen = torch.randint(labels.shape[1], (samples,), generator=generator, device=generator.device)
    return labels[torch.arange(samples), chosen][:, None].expand_as(labels)


def draw_unit_variance(pieces: Pieces, samples: int, generator: Generator) -> Tensor:
    """Noise of variance 1 around the outputs of a squared error."""
    labels = right_draw(pieces, samples, generator)
    if not isinstance(pieces.problem.loss, nn.MSELoss):
        return labels
    return pieces.terms.outputs + math.sqrt(2) * (labels - pieces.terms.outputs)


def own_generator() -> Build:
    """Draws from a generator of its own, so that the same seed gives another matrix."""
    own = Generator().manual_seed(7)

    def build(problem: Problem, generator: Generator, samples: int = 1) -> Tensor:
        return drawing()(problem, own, samples)

    return build


def same_labels() -> Build:
    """Draws the same labels whatever the generator."""

    def build(problem: Problem, generator: Generator, samples: int = 1) -> Tensor:
        return drawing()(problem, Generator().manual_seed(7), samples)

    return build


def global_draws() -> Build:
    """Moves torch's global generator although it is given another."""

    def build(problem: Problem, generator: Generator, samples: int = 1) -> Tensor:
        torch.rand(())
        return drawing()(problem, generator, samples)

    return build


def over_outputs(pieces: Pieces, samples: int) -> float:
    """1 / C."""
    return 1 / pieces.width


def bessel(pieces: Pieces, subject: Subject) -> Tensor:
    """S / (S - 1)."""
    if subject.samples is None or subject.samples < 2:
        raise NoSuchMistake("only with several draws")
    return subject.samples / (subject.samples - 1) * pieces.right(subject)


def over_samples(pieces: Pieces, subject: Subject) -> Tensor:
    """1 / S."""
    if subject.samples is None:
        raise NoSuchMistake("nothing is drawn")
    return pieces.right(subject) / subject.samples


def estimator(
    id: str,
    title: str,
    source: str,
    wrong: Wrong,
    build: Build,
    samples: int = 1,
    family: Family = DRAWN,
    sees: tuple[str, ...] = ("MC-unbiased",),
) -> Defect:
    """A dense Monte-Carlo Fisher with a mistake."""
    return planted(id, title, source, wrong, family, Declaration(samples=samples), build=build, sees=sees)


BOTH = Family(FISHERS, ALL)
ONE = Declaration(samples=1)
ESTIMATORS: tuple[Defect, ...] = (
    estimator(
        "D5",
        "Monte-Carlo samples already scaled, divided by C again",
        "f-dangel/curvlinops#112",
        scaled(lambda p: 1 / p.width),
        drawing(factor=over_outputs),
    ),
    estimator(
        "D8",
        "each of S sampled losses divided by S before the outer product",
        "kazukiosawa/asdl",
        over_samples,
        drawing(factor=lambda p, s: 1 / s, samples=8),
        8,
    ),
    estimator(
        "P33",
        "labels drawn from softened probabilities (temperature 1.1)",
        "likely",
        rooted(softened),
        drawing(draw_softened),
        family=BOTH,
        sees=("MC-unbiased",),
    ),
    estimator(
        "P34",
        "all labels equally likely",
        "likely",
        rooted(uniform),
        drawing(draw_uniform),
        family=BOTH,
        sees=("MC-unbiased",),
    ),
    estimator(
        "P35",
        "labels drawn once for a batch instead of for each sample",
        "likely",
        rooted(one_label_for_all),
        drawing(draw_once),
        family=BOTH,
        sees=("MC-unbiased",),
    ),
    estimator(
        "P130",
        "a bias of two per cent",
        "what drawing until close accepts",
        scaled(lambda p: 1.02),
        drawing(factor=lambda p, s: 1.02),
    ),
    estimator(
        "P131",
        "Gaussian noise of unit variance for a squared error",
        "likely",
        scaled(unit_variance),
        drawing(draw_unit_variance),
        family=BOTH,
        sees=("MC-unbiased",),
    ),
    estimator(
        "P132",
        "divided by S - 1 as if a mean had been taken off",
        "likely",
        bessel,
        drawing(factor=lambda p, s: s / max(1, s - 1), samples=8),
        8,
    ),
    unmatched(
        "P133",
        "an estimator with a generator of its own: the seed repeats nothing",
        "likely",
        own_generator,
        ONE,
        sees=("T2", "T26-repeatable"),
    ),
    unmatched(
        "P134", "the same labels whatever the generator", "likely: a fixed seed inside", same_labels, ONE, sees=("MC-unbiased",)
    ),
    unmatched(
        "P135",
        "draws from the global generator although given another",
        "likely",
        global_draws,
        ONE,
    ),
)
