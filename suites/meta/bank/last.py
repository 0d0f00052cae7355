"""Mistakes that one claim alone sees: each is right in all that the cheaper claims look at."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from fishergauge.reference import Problem, block_slices, ggn, gradient, monte_carlo_fisher
from fishergauge.reference.eigen_kfac import eigen_kfac
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.kfac import KroneckerFactored, kfac
from fishergauge.reference.layer_statistics import LayerStatistics
from fishergauge.reference.terms import terms_of
from fishergauge.suites.meta.bank.defect import Declaration, Defect, unmatched

DRAWN = Declaration("fisher", "kronecker", samples=8, bias="separate")
Build = Callable[..., Tensor]


def drawn_factors(
    root: Callable[[Problem, int, Generator], GaussNewton], factor: Callable[[int], float] = lambda s: 1.0
) -> Build:
    """An estimator of K-FAC from drawn gradients, times a factor."""

    def build(problem: Problem, generator: Generator) -> Tensor:
        return factor(8) * kfac(problem, "fisher", "separate", root_of=root(problem, 8, generator)).dense()

    return build


def most_likely(problem: Problem, samples: int, generator: Generator) -> GaussNewton:
    """The most likely label in the place of draws, with a little noise so that nothing repeats."""
    terms = terms_of(problem)
    if isinstance(problem.loss, nn.CrossEntropyLoss):
        labels = terms.outputs.argmax(-1)
    elif isinstance(problem.loss, nn.BCEWithLogitsLoss):
        labels = (terms.outputs > 0).to(terms.outputs.dtype)
    else:
        labels = terms.outputs
    slopes = problem.likelihood.scores(terms.outputs, labels)
    noise = torch.rand(len(slopes), 1, generator=generator, dtype=slopes.dtype)
    return GaussNewton(problem, terms, (slopes * (1 + 1e-3 * noise))[:, None, :])


def swapped_weights(problem: Problem, generator: Generator) -> Tensor:
    """A kron G for each weight of a drawn K-FAC; the bias blocks are right."""
    factored = kfac(problem, "fisher", "separate", root_of=monte_carlo_fisher(problem, 8, generator))
    matrix, slices = factored.dense(), block_slices(problem, "parameter")
    for block in factored.factors.values():
        if block.weight is not None:
            part = slices[block.weight]
            matrix[part, part] = torch.kron(block.input_factor.contiguous(), block.output_factor.contiguous())
    return matrix


def eigenvalues_twice_over_samples(problem: Problem, generator: Generator) -> Tensor:
    """A drawn EKFAC whose eigenvalues are divided by S again."""
    return eigen_kfac(problem, "fisher", "separate", root_of=monte_carlo_fisher(problem, 8, generator)).dense() / 8


def shampoo_of_the_batch(problem: Problem) -> Tensor:
    """(L kron R) / tr L from the gradient of the batch, where those of the terms belong."""
    slopes, slices = problem.unflatten(gradient(problem)), block_slices(problem, "parameter")
    matrix = torch.zeros(problem.num_parameters, problem.num_parameters, dtype=problem.dtype)
    for name, slope in slopes.items():
        flat = slope.reshape(len(slope), -1)
        left, right = flat @ flat.T, flat.T @ flat
        matrix[slices[name], slices[name]] = torch.kron(left, right) / left.trace().clamp(min=1e-30)
    return matrix


def weighed_inputs(problem: Problem) -> Tensor:
    """A weighs each input by the entropy of the prediction; G is right, and so is A where there is no entropy."""
    factored = kfac(problem, "ggn", "separate")
    matrix, slices = factored.dense(), block_slices(problem, "parameter")
    if not isinstance(problem.loss, nn.CrossEntropyLoss) or problem.outputs.ndim != 2:
        return matrix
    p = problem.outputs.softmax(-1)
    entropy = -(p * p.clamp(min=1e-30).log()).sum(-1)
    statistics = LayerStatistics(problem)
    for name, block in factored.factors.items():
        if block.weight is None:
            continue
        inputs = statistics.layers[name].inputs
        if inputs.shape[1] != 1:
            return matrix
        weights = entropy / entropy.sum()
        moment = torch.einsum("n,ni,nj->ij", weights, inputs[:, 0], inputs[:, 0])
        matrix[slices[block.weight], slices[block.weight]] = torch.kron(block.output_factor.contiguous(), moment.contiguous())
    return matrix


def joint_after_all(problem: Problem) -> Tensor:
    """A joint bias, declared separate."""
    return kfac(problem, "ggn", "joint").dense()


def divided_by_mean_eigenvalue(matrix: KroneckerFactored, vector: Tensor, damping: float) -> Tensor:
    """A multiple of the identity inverted in the place of the matrix: right for large damping alone."""
    return vector / (damping + float(matrix.trace()) / len(vector))


def squared_damping(matrix: KroneckerFactored, vector: Tensor, damping: float) -> Tensor:
    """The square of the damping in the factors: right without damping."""
    return matrix.solve(vector, damping**2)


def exact_blocks(problem: Problem) -> Tensor:
    """The exact block of each layer sold as a Kronecker product."""
    return ggn(problem).block_diagonal()


LAST: tuple[Defect, ...] = (
    unmatched(
        "P260",
        "a drawn K-FAC divided by S twice",
        "likely, after kazukiosawa/asdl",
        lambda: drawn_factors(monte_carlo_fisher, lambda s: 1 / s),
        DRAWN,
        sees=("MC-factors", "MC-single-sample"),
    ),
    unmatched(
        "P261",
        "the most likely labels in a drawn K-FAC",
        "likely",
        lambda: drawn_factors(most_likely),
        DRAWN,
        sees=("MC-factors", "MC-single-sample"),
    ),
    unmatched("P262", "A kron G in a drawn K-FAC", "likely", lambda: swapped_weights, DRAWN, sees=("MC-single-sample",)),
    unmatched(
        "P263",
        "eigenvalues of a drawn EKFAC divided by S twice",
        "likely",
        lambda: eigenvalues_twice_over_samples,
        Declaration("fisher", "eigen-kronecker", samples=8, bias="separate"),
        sees=("MC-trace",),
    ),
    unmatched(
        "P264",
        "Shampoo from the gradient of the batch",
        "likely",
        lambda: shampoo_of_the_batch,
        Declaration("empirical-fisher", "none", claims=("T23",)),
        sees=("T23",),
    ),
    unmatched(
        "P265",
        "a multiple of the identity inverted for the factors",
        "likely",
        lambda: lambda problem: kfac(problem, "ggn", "joint"),
        Declaration("ggn", "kronecker", bias="joint", solve=divided_by_mean_eigenvalue),
        sees=("T26-solve-undamped",),
    ),
    unmatched(
        "P266",
        "the square of the damping in the factors",
        "aleximmer/Laplace 5d721a1",
        lambda: lambda problem: kfac(problem, "ggn", "joint"),
        Declaration("ggn", "kronecker", bias="joint", solve=squared_damping),
        sees=("T26-solve-limit",),
    ),
    unmatched(
        "P267",
        "inputs weighed by the entropy of the prediction",
        "likely",
        lambda: weighed_inputs,
        Declaration("ggn", "kronecker", bias="separate"),
        sees=("S3",),
    ),
    unmatched(
        "P268",
        "a joint bias declared separate",
        "likely",
        lambda: joint_after_all,
        Declaration("ggn", "kronecker", bias="separate"),
        sees=("S1",),
    ),
    unmatched(
        "P269",
        "the exact blocks of layers sold as a Kronecker product",
        "likely",
        lambda: exact_blocks,
        Declaration("ggn", "kronecker", bias="joint"),
        sees=("S2",),
    ),
)
