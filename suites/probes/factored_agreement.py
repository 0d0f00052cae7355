"""A Kronecker factorisation: the reference's own factors everywhere, and exact blocks where theory says so."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from fishergauge.reference import UnsupportedError, kfac
from fishergauge.reference.kfac import KroneckerFactored
from fishergauge.reference.layers import Layer, layers_of
from fishergauge.suites.claim import Claim, NotHere
from fishergauge.suites.claims.kronecker import CLAIMS
from fishergauge.suites.comparison import ratio_of
from fishergauge.suites.probes.exact_rows import unit_vector
from fishergauge.suites.probes.linearity import FORMULA
from fishergauge.suites.probes.locating import located
from fishergauge.suites.probes.power import seen_relative
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import cancellation, norm, quotient, size_of

MANY_BLOCKS = 16
"""From here on one column a block is multiplied, else two."""
SMALL = 16
"""Width of a last bias up to which its block is formed."""

Blocks = Mapping[str, slice]


def kfac_of(case: ProbeCase, bias: str) -> KroneckerFactored:
    """The reference's factorisation with that treatment of the bias, made once.

    Raises:
        NotHere: the reference does not cover the model.
    """
    subject = case.subject

    def compute() -> KroneckerFactored:
        try:
            return kfac(case.problem, subject.target, bias, subject.sharing)  # type: ignore[arg-type]
        except UnsupportedError as error:
            raise NotHere(f"the reference has no K-FAC of it: {error}") from None

    return case.once(("kfac", bias), compute)


def factors(case: ProbeCase) -> ProbeFinding:
    r"""A X against K X with the reference's own G kron A, with the treatment of the bias that fits better.

    .. math:: |A X - K X|_F / |K X|_F

    Two vectors of length P beside the shared ones, and the factors; no product of its own.
    """
    if {"sharing", "masked"} <= case.tags:
        raise NotHere("positions with masked terms may count or not")
    vectors, mine, _ = case.shared()
    bound = case.bound()
    power = seen_relative(bound * cancellation(case), case.columns)
    found = []
    for bias in ("joint", "separate") if case.subject.bias is None else (case.subject.bias,):
        operator, total, size, witness = kfac_of(case, bias), 0.0, 0.0, ""
        for column in range(case.columns):
            right = operator @ vectors[:, column].contiguous()
            total, size = total + norm(mine[:, column] - right) ** 2, size + norm(right) ** 2
            if column == 0:
                witness = located(mine[:, 0], right, case.slices())
        measured = quotient(total**0.5, size**0.5 * cancellation(case))
        witness = "" if measured <= bound else f"{witness}, in the product with a random vector"
        found.append(ProbeFinding(measured, bound, FORMULA, witness, power=power, seen="|A - K|_F relative to |K|_F"))
    return min(found, key=lambda f: f.measured)


def bias_blocks(case: ProbeCase) -> ProbeFinding:
    """The block of each bias against the exact one, on one or two random vectors; that of a small last layer in every entry.

    Three vectors of length P beside the shared ones. Products of the subject with all biases at once, as nothing is between
    layers, and exact ones for each bias.
    """
    slices = case.slices()
    biased = [layer for layer in layers_in(case) if layer.alone and layer.bias is not None]
    if not biased:
        raise NotHere("no layer that is used once has a bias")
    parts = {str(layer.bias): slices[str(layer.bias)] for layer in biased}
    columns = 2 if len(parts) <= MANY_BLOCKS else 1
    products = []
    for column in range(columns):
        inside = torch.zeros_like(case.problem.vector)
        for part in parts.values():
            inside[part] = case.shared()[0][part, column]
        mine = case.product(inside)
        products.append({name: mine[part] for name, part in parts.items()})
    found = _on_blocks(case, parts, products)
    last = next((layer for layer in biased if layer.last), None)
    if last is None or (part := parts[str(last.bias)]).stop - part.start > SMALL:
        return found
    units = [unit_vector(case, place) for place in range(part.start, part.stop)]
    own = torch.stack([case.product(unit)[part] for unit in units], 1)
    right = torch.stack([case.exact_product(unit)[part] for unit in units], 1)
    measured = quotient(float((own - right).double().norm()), size_of(case, right.flatten(), right.flatten()))
    if measured <= max(found.measured, found.bound):
        return found
    witness = f"{last.bias}: {ratio_of(own.double(), right.double())}"
    return ProbeFinding(measured, found.bound, FORMULA, witness, power=found.power, seen=found.seen)


def exact_layers(choose: Callable[[ProbeCase, Layer], bool]) -> Callable[[ProbeCase], ProbeFinding]:
    """A measurement of the diagonal blocks of some layers against the exact ones.

    Args:
        choose: the layers that theory speaks of.
    """

    def measure(case: ProbeCase) -> ProbeFinding:
        """The blocks of these layers, on one or two shared vectors; three vectors of length P beside them."""
        chosen = [layer for layer in layers_in(case) if choose(case, layer)]
        if not chosen:
            raise NotHere("no layer of the model is of the kind that the theorem speaks of")
        _, products, _ = case.shared()
        found = []
        for per in {"joint": ("layer",), "separate": ("parameter",), None: ("layer", "parameter")}[case.subject.bias]:
            parts = _parts(case, chosen, per)
            columns = 2 if len(parts) <= MANY_BLOCKS else 1
            mine = [{name: products[part, column] for name, part in parts.items()} for column in range(columns)]
            found.append(_on_blocks(case, parts, mine))
        return min(found, key=lambda f: f.measured)

    return measure


def _on_blocks(case: ProbeCase, parts: Blocks, products: list[dict[str, Tensor]]) -> ProbeFinding:
    """Products of diagonal blocks with their parts of the shared vectors, against the exact ones."""
    vectors, _, _ = case.shared()
    measured, bound, witness = 0.0, case.bound(), ""
    for name, part in parts.items():
        for column, mine in enumerate(products):
            inside = torch.zeros_like(vectors[:, column])
            inside[part] = vectors[part, column]
            right = case.exact_product(inside)[part]
            deviation = quotient(float((mine[name] - right).double().norm()), size_of(case, inside, right))
            if deviation > max(measured, bound):
                witness = f"the block of {name}: {ratio_of(mine[name].double(), right.double())}"
            measured = max(measured, deviation)
    seen = "|A_b - M_b|_F of one block, relative to |M_b|_F (of a block that is not small among the others)"
    return ProbeFinding(measured, bound, FORMULA, witness, power=seen_relative(bound, len(products)), seen=seen)


def layers_in(case: ProbeCase) -> tuple[Layer, ...]:
    """The linear and convolutional layers of the problem, found once."""
    return case.once("layers", lambda: layers_of(case.problem))


def _parts(case: ProbeCase, layers: Iterable[Layer], per: str) -> Blocks:
    """Where the blocks of layers lie, by the names of their parameters."""
    slices, parts = case.slices(), dict[str, slice]()
    for layer in layers:
        names = [name for name in (layer.weight, layer.bias) if name is not None]
        if per == "layer" and len(names) == 2:
            parts[" and ".join(names)] = slice(slices[names[0]].start, slices[names[1]].stop)
        else:
            parts |= {name: slices[name] for name in names}
    return parts


_CLAIMS: Mapping[str, Claim] = {claim.id: claim for claim in CLAIMS}


def _probe(id: str, of: str, measure: Callable[[ProbeCase], ProbeFinding], blind: str) -> Probe:
    """A probe that takes the place of a claim on arrays, and speaks of the same subjects and problems."""
    claim = _CLAIMS[of]
    return Probe(
        id=id,
        statement=claim.statement,
        of=(of,),
        source=claim.source,
        scope=claim.scope,
        bound=claim.bound,
        blind=blind,
        control=claim.control,
        measure=measure,
        requires=claim.requires,
        excludes=claim.excludes,
    )


OF_BLOCKS = "a deviation of a block below its power; what is between layers is the subject of probe-leak"

PROBES = (
    _probe("probe-factors", "S3", factors, "a deviation below its power; a mistake that the reference shares"),
    _probe("probe-bias", "T4", bias_blocks, OF_BLOCKS),
    _probe(
        "probe-last-layer",
        "T5",
        exact_layers(
            lambda case, x: x.last and x.calls == 1 and not x.tied and (x.positions == 1 or case.subject.sharing == "expand")
        ),
        OF_BLOCKS,
    ),
    _probe("probe-single-sample", "T6", exact_layers(lambda _, layer: layer.alone), OF_BLOCKS),
    _probe("probe-equal-inputs", "T7", exact_layers(lambda _, layer: layer.alone and layer.first), OF_BLOCKS),
    *(
        _probe(f"probe-{name}", of, exact_layers(lambda _, layer: layer.calls == 1 and not layer.tied), OF_BLOCKS)
        for name, of in {
            "deep-linear": "T8",
            "expand": "T9-expand",
            "reduce": "T9-reduce",
            "product-data": "T10",
        }.items()
    ),
)
