"""asdfghjkl, whose module is called asdl: every kind and shape of its Fisher, its Hessian, products and gradients of samples.

Its convention: losses are summed over the data and divided by ``data_size``; squared error is the negative log-likelihood of a
unit variance; Kronecker factors are of the weight alone, and the block of a bias is the factor of the outputs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.peers import of_asdl_fisher as fishers
from fishergauge.suites.peers import of_asdl_held as held
from fishergauge.suites.peers import of_asdl_others as others
from fishergauge.suites.peers.adapting import under
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Bias, Structure, Subject, Target

KINDS: dict[str, tuple[str, Target]] = {
    "exact": ("fisher_exact", "fisher"),
    "emp": ("fisher_emp", "empirical-fisher"),
}
SHAPES: dict[str, tuple[Structure, Bias | None]] = {
    "full": ("dense", None),
    "layer_wise": ("block-diagonal", "joint"),
    "diag": ("diagonal", None),
    "kron": ("kronecker", "separate"),
    "swift_kron": ("kronecker", "separate"),
    "kfe": ("eigen-kronecker", "separate"),
    "unit_wise": ("none", None),
}
PROMISES = {
    "full": "the whole matrix; precondition/natural_gradient.py, NaturalGradientMaker: 'full'",
    "layer_wise": "layer-wise block-diagonal; precondition/natural_gradient.py, NaturalGradientMaker",
    "diag": "the diagonal; precondition/natural_gradient.py, NaturalGradientMaker",
    "kron": "K-FAC of Martens and Grosse 2015; precondition/natural_gradient.py, KfacGradientMaker",
    "swift_kron": "SKFAC of Tang et al. 2021, K-FAC with thin factors; precondition/natural_gradient.py, KfacGradientMaker",
    "kfe": "Kronecker-factored eigenbasis; matrices.py, SHAPE_KFE, and EkfacGradientMaker",
    "unit_wise": "unit-wise block-diagonal; precondition/natural_gradient.py, NaturalGradientMaker",
}
SCALE = "data_size is the number of labels that count; times K / M"
GAUSSIAN = f"{SCALE}, and for squared error times 2 (its variance is one, that of the objective a half)"


def peers() -> list[Peer]:
    """All subjects of asdfghjkl."""
    return [*_matrices(), *_drawn(), *_units(), *_products(), *_direct(), *_hessians(), *_rest()]


def _safe(function: Callable[..., Any], *args: Any) -> Callable[[Problem], Any]:
    """The function under the problem's dtype as the default: its embeddings and thin factors are of the default dtype."""

    def build(problem: Problem) -> Any:
        return under(problem, function)(problem, *args)

    return build


def _peer(subject: Subject, promise: str, conversion: str = "") -> Peer:
    return Peer("asdfghjkl", "asdl", subject, promise, conversion)


def _name(what: str, shape: str) -> str:
    return f"asdfghjkl/{what}-{shape.replace('_', '-')}"


def _matrices() -> list[Peer]:
    found = []
    for kind, (fisher, target) in KINDS.items():
        for shape, (structure, bias) in SHAPES.items():
            build = _safe(fishers.fisher, fisher, shape)
            subject = Subject(_name(f"fisher-{kind}", shape), build, target, structure, bias=bias, solve=held.solve)
            found.append(_peer(subject, f"{fisher}: {PROMISES[shape]}", GAUSSIAN if kind == "exact" else SCALE))
    return found


def _drawn() -> list[Peer]:
    found = []
    for shape, (structure, bias) in SHAPES.items():

        def build(problem: Problem, samples: int = 1, shape: str = shape) -> Tensor:
            return under(problem, fishers.drawn)(problem, shape, samples)

        subject = Subject(_name("fisher-mc", shape), build, "fisher", structure, samples=1, bias=bias)
        found.append(_peer(subject, f"fisher_mc, an estimate by n_mc_samples draws: {PROMISES[shape]}", GAUSSIAN))
    return found


def _units() -> list[Peer]:
    found = []
    for kind, (fisher, target) in KINDS.items():
        build = _safe(fishers.quasi_diagonal, fisher)
        subject = Subject(f"asdfghjkl/fisher-{kind}-unit-wise-quasi", build, target, "quasi-diagonal")
        conversion = f"{GAUSSIAN if kind == 'exact' else SCALE}; of each block the diagonal and the products with the bias"
        found.append(_peer(subject, f"{fisher}: {PROMISES['unit_wise']}", conversion))
    return found


def _products() -> list[Peer]:
    found = []
    for kind, (fisher, target) in KINDS.items():
        for shape in ("full", "layer_wise"):
            structure, bias = SHAPES[shape]
            subject = Subject(
                _name(f"fvp-{kind}", shape),
                _safe(fishers.Products, fisher, shape),
                target,
                structure,
                bias=bias,
                solve=fishers.solve_products,
            )
            promise = (
                f"{fisher}: products with vectors (fvp=True), and fisher_free by conjugate gradients; fisher.py, FisherMaker"
            )
            found.append(_peer(subject, promise, f"{GAUSSIAN}, by its option scale; solve on all data as one batch"))
    return found


def _direct() -> list[Peer]:
    found = []
    for shape in ("full", "layer_wise", "diag", "kron", "swift_kron", "unit_wise"):
        structure, bias = SHAPES[shape]
        build = _safe(fishers.Direct, shape)
        subject = Subject(
            _name("fisher-emp-calc-inv", shape), build, "empirical-fisher", structure, bias=bias, solve=fishers.solve_direct
        )
        promise = f"the damped inverse in the same call (calc_inv=True): {PROMISES[shape]}"
        found.append(_peer(subject, promise, f"{SCALE}; solve on all data as one batch"))
    return found


def _hessians() -> list[Peer]:
    batches = "scale is the share of a batch in the objective"
    found = []
    for shape in ("full", "layer_wise", "diag"):
        structure, bias = SHAPES[shape]
        whole = shape == "full"
        subject = Subject(
            _name("hessian", shape),
            _safe(others.hessian if whole else others.hessian_matrix, shape),
            "hessian",
            structure,
            bias=bias,
            solve=others.solve_newton if whole else None,
        )
        promise = f"the Hessian of the loss that is given; hessian.py, HessianMaker, hessian_shapes=[{shape!r}]"
        found.append(_peer(subject, promise, batches))
    subject = Subject("asdfghjkl/hessian-hvp", _safe(others.HessianProducts), "hessian", "dense", solve=others.solve_hessian)
    found.append(_peer(subject, "Hessian times vector, and hessian_free; hessian.py, HessianMaker, hvp=True", batches))
    return found


def _rest() -> list[Peer]:
    functorch = "grad_maker.py, GradientMaker"
    joint = "all data as one batch"
    return [
        _peer(
            Subject(
                "asdfghjkl/fisher-exact-full-own-model", partial(fishers.on_the_model_itself, kind="fisher_exact", shape="full")
            ),
            f"fisher_exact: {PROMISES['full']}; nothing is said of marks on parameters",
            f"{GAUSSIAN}; the documented attribute is deleted, and the default dtype is left as it is",
        ),
        _peer(
            Subject(
                "asdfghjkl/fisher-emp-full-default-dtype",
                partial(fishers.matrix, kind="fisher_emp", shape="full"),
                "empirical-fisher",
            ),
            f"fisher_emp: {PROMISES['full']}",
            f"{SCALE}; the default dtype is left as it is",
        ),
        _peer(
            Subject("asdfghjkl/functorch-fvp", _safe(others.Functorch, "fvp"), "ggn"),
            f"Fisher times vector by forward and reverse mode, loss_type and data_size; {functorch}.fvp",
            f"{GAUSSIAN}; {joint}; labels that do not count are left out of the logits",
        ),
        _peer(
            Subject("asdfghjkl/functorch-loss-hvp", _safe(others.Functorch, "hvp"), "hessian"),
            f"Hessian times vector; {functorch}.loss_hvp",
            joint,
        ),
        _peer(
            Subject("asdfghjkl/functorch-loss-hessian", _safe(others.functorch_hessian), "hessian"),
            f"the Hessian in blocks; {functorch}.loss_hessian",
            f"{joint}; blocks joined",
        ),
        _peer(
            Subject("asdfghjkl/batch-gradient", _safe(others.empirical_fisher), "empirical-fisher"),
            "the gradient of each sample; gradient.py, batch_gradient",
            "the second moment of the rows over M",
        ),
    ]
