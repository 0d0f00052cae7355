"""Settings in which a Kronecker factorisation is exact, and what it must look like everywhere."""

from collections.abc import Iterable

import torch
from torch import Tensor

from fishergauge.reference import block_slices
from fishergauge.reference.layers import Layer
from fishergauge.suites.case import Case
from fishergauge.suites.claim import FACTORED, FISHERS, Claim, Finding, NotHere, Scope
from fishergauge.suites.comparison import compared, worst

KRONECKER = Scope(structures=("kronecker",))
FACTORED_FISHER = Scope(targets=FISHERS, structures=FACTORED)


def exact_on(case: Case, layers: Iterable[Layer]) -> Finding:
    """The diagonal blocks of some layers against the exact ones; the worst of them.

    Where the subject does not declare how it treats the bias, the treatment that fits all these layers better counts.
    """
    layers = tuple(layers)
    if not layers:
        raise NotHere("no layer of the model is of the kind that the theorem speaks of")
    mine, exact = case.matrix(), case.exact()
    candidates = []
    for per in case.per():
        found = [_on_block(case, mine, exact, part) for layer in layers for part in _parts(case, layer, per)]
        candidates.append(worst(*found))
    return min(candidates, key=lambda f: f.measured)


def _on_block(case: Case, mine: Tensor, exact: Tensor, part: slice) -> Finding:
    a, b = torch.zeros_like(mine), torch.zeros_like(exact)
    a[part, part], b[part, part] = mine[part, part], exact[part, part]
    return compared(a, b, case.problem, scale=case.size(b))


def _parts(case: Case, layer: Layer, per: str) -> list[slice]:
    slices = block_slices(case.problem, "parameter")
    parts = [slices[name] for name in (layer.weight, layer.bias) if name is not None]
    if per == "layer" and len(parts) == 2:
        return [slice(parts[0].start, parts[1].stop)]
    return parts


def bias_block_exact(case: Case) -> Finding:
    """The block of each bias."""
    slices = block_slices(case.problem, "parameter")
    mine, exact = case.matrix(), case.exact()
    parts = [slices[layer.bias] for layer in case.layers if layer.alone and layer.bias is not None]
    if not parts:
        raise NotHere("no layer that is used once has a bias")
    return worst(*(_on_block(case, mine, exact, part) for part in parts))


def last_layer_exact(case: Case) -> Finding:
    """The block of a last layer under squared error; at several positions for expand."""
    expand = case.subject.sharing == "expand"
    return exact_on(case, [x for x in case.layers if x.last and x.calls == 1 and not x.tied and (x.positions == 1 or expand)])


def single_sample_exact(case: Case) -> Finding:
    """All layers that are used once, at one sample."""
    return exact_on(case, [layer for layer in case.layers if layer.alone])


def equal_inputs_exact(case: Case) -> Finding:
    """The first layer, where all inputs are equal."""
    return exact_on(case, [layer for layer in case.layers if layer.alone and layer.first])


def all_layers_exact(case: Case) -> Finding:
    """All layers, used once in one evaluation (at any number of positions)."""
    return exact_on(case, [layer for layer in case.layers if layer.calls == 1 and not layer.tied])


def zero_outside_layers(case: Case) -> Finding:
    """Nothing outside the blocks of layers, or of parameters where the bias is declared separate."""
    mine = case.matrix()
    blocks = case.quantities.restricted(case.problem, mine, case.per()[0])
    return compared(mine, blocks, case.problem)


def factors_by_definition(case: Case) -> Finding:
    """The matrix against the reference's own factorisation, with the treatment of the bias that fits better.

    What of a shared layer belongs to a masked term is not agreed upon.
    """
    if {"sharing", "masked"} <= case.tags:
        raise NotHere("positions with masked terms may count or not")
    mine = case.matrix()
    made = [case.quantities.factors(case.problem, case.subject, bias).dense() for bias in case.biases()]
    return min((compared(mine, own, case.problem, scale=case.size(own)) for own in made), key=lambda f: f.measured)


def factors_of_every_weight(case: Case) -> Finding:
    """The second singular value of each rearranged block, over the first: zero for a Kronecker product."""
    mine, bound = case.matrix(), case.bound()
    layers = [layer for layer in case.layers if layer.weight is not None and layer.calls == 1 and not layer.tied]
    if not layers:
        raise NotHere("no layer is used once")
    found = []
    for layer in layers:
        candidates = [
            _second_singular_value(case, mine, layer, per == "layer" and layer.bias is not None) for per in case.per()
        ]
        measured = min(candidates)
        witness = f"{layer.weight}: second singular value {measured:.3g} of the first" if measured > bound else ""
        found.append(Finding(measured, bound, "64 u sqrt(n)", witness))
    return worst(*found)


def block_index(case: Case, layer: Layer, joint: bool) -> Tensor:
    """The parameters of a layer in the order (output, input), the bias as the last input."""
    slices = block_slices(case.problem, "parameter")
    assert layer.weight is not None
    out = case.problem.parameters[layer.weight].shape[0]
    order = torch.arange(slices[layer.weight].start, slices[layer.weight].stop).view(out, -1)
    if joint:
        assert layer.bias is not None
        order = torch.cat([order, torch.arange(slices[layer.bias].start, slices[layer.bias].stop)[:, None]], 1)
    return order.reshape(-1)


def _second_singular_value(case: Case, mine: Tensor, layer: Layer, joint: bool) -> float:
    """Of the block rearranged so that a Kronecker product has rank one (Van Loan and Pitsianis 1993)."""
    assert layer.weight is not None
    index = block_index(case, layer, joint).to(mine.device)
    out = case.problem.parameters[layer.weight].shape[0]
    width = len(index) // out
    block = mine[index][:, index].reshape(out, width, out, width)
    values = torch.linalg.svdvals(block.permute(0, 2, 1, 3).reshape(out * out, width * width).double())
    if len(values) < 2 or float(values[0]) == 0:
        return 0.0
    return float(values[1] / values[0])


CLAIMS = (
    Claim(
        id="T4",
        name="bias-block-exact",
        statement="the bias block of K-FAC equals the exact one",
        source="Martens and Grosse 2015, sec. 3",
        scope=KRONECKER,
        excludes=frozenset({"sharing", "tied"}),
        bound="64 u sqrt(n)",
        control="gradients of the mean loss in G (wiseodd/natural-gradients#2)",
        measure=bias_block_exact,
    ),
    Claim(
        id="T5",
        name="last-layer-exact",
        statement="the block of the last layer is exact under squared error",
        source="Martens and Grosse 2015, sec. 3; Eschenhagen et al. 2023, sec. 3",
        scope=FACTORED_FISHER,
        requires=frozenset({"squared"}),
        bound="64 u sqrt(n)",
        control="cross-entropy",
        measure=last_layer_exact,
    ),
    Claim(
        id="T6",
        name="single-sample-exact",
        statement="the diagonal blocks are exact at a single sample",
        source="Martens and Grosse 2015, sec. 3",
        scope=Scope(structures=FACTORED),
        requires=frozenset({"one-sample"}),
        excludes=frozenset({"sharing", "tied"}),
        bound="64 u sqrt(n)",
        control="three samples (f-dangel/backpack#265)",
        measure=single_sample_exact,
    ),
    Claim(
        id="T7",
        name="equal-inputs-exact",
        statement="the block of the first layer is exact if all inputs are equal",
        source="Martens and Grosse 2015, sec. 3",
        scope=Scope(structures=("kronecker",)),
        requires=frozenset({"equal-inputs"}),
        excludes=frozenset({"sharing", "tied"}),
        bound="64 u sqrt(n)",
        control="inputs that differ",
        measure=equal_inputs_exact,
    ),
    Claim(
        id="T8",
        name="deep-linear-exact",
        statement="the diagonal blocks are exact for deep linear networks under squared error",
        source="Bernacchia et al. 2018, sec. 4; Martens and Grosse 2015, sec. 3",
        scope=FACTORED_FISHER,
        requires=frozenset({"squared", "deep-linear"}),
        excludes=frozenset({"sharing", "tied"}),
        bound="64 u sqrt(n)",
        control="one nonlinearity; cross-entropy",
        measure=all_layers_exact,
    ),
    Claim(
        id="T9-expand",
        name="expand-exact",
        statement="K-FAC expand is exact for deep linear networks with weight sharing and a squared error at every position",
        source="Eschenhagen et al. 2023, prop. 1",
        scope=Scope(targets=FISHERS, structures=("kronecker",), sharing=("expand",)),
        requires=frozenset({"squared", "deep-linear", "sharing", "expand"}),
        excludes=frozenset({"tied"}),
        bound="64 u sqrt(n)",
        control="K-FAC reduce",
        measure=all_layers_exact,
    ),
    Claim(
        id="T9-reduce",
        name="reduce-exact",
        statement="K-FAC reduce is exact for deep linear networks that pool shared positions before a squared error a sample",
        source="Eschenhagen et al. 2023, prop. 2",
        scope=Scope(targets=FISHERS, structures=("kronecker",), sharing=("reduce",)),
        requires=frozenset({"squared", "deep-linear", "sharing", "reduce"}),
        excludes=frozenset({"tied"}),
        bound="64 u sqrt(n)",
        control="K-FAC expand",
        measure=all_layers_exact,
    ),
    Claim(
        id="T10",
        name="product-data-exact",
        statement="K-FAC of the empirical Fisher is exact for a linear layer on all pairs of inputs and residuals",
        source="Martens and Grosse 2015, sec. 3 (independence of activations and gradients)",
        scope=Scope(targets=("empirical-fisher",), structures=("kronecker",)),
        requires=frozenset({"product-data", "squared"}),
        bound="64 u sqrt(n)",
        control="inputs and residuals paired at random",
        measure=all_layers_exact,
    ),
    Claim(
        id="S1",
        name="zero-between-layers",
        statement="a factorisation is zero outside the blocks of layers, and between weight and bias if that is separate",
        source="Martens and Grosse 2015, sec. 4",
        scope=Scope(structures=FACTORED, drawn=None),
        bound="64 u sqrt(n)",
        control="a correlation between layers",
        measure=zero_outside_layers,
    ),
    Claim(
        id="S3",
        name="factors-by-definition",
        statement="A is the second moment of the inputs of a layer, G that of the gradients at its outputs",
        source="Martens and Grosse 2015, eq. 1; Grosse and Martens 2016, eq. 22; Eschenhagen et al. 2023, eq. 8 and 9",
        scope=Scope(structures=("kronecker",)),
        requires=frozenset({"likelihood"}),
        excludes=frozenset({"tied"}),
        bound="64 u sqrt(n)",
        control="inputs that are centred, or weighed by the prediction",
        measure=factors_by_definition,
    ),
    Claim(
        id="S2",
        name="kronecker-product",
        statement="the block of each weight is a Kronecker product G kron A",
        source="Martens and Grosse 2015, eq. 1",
        scope=Scope(structures=("kronecker",), drawn=None),
        bound="64 u sqrt(n)",
        control="the exact block sold as a factorisation",
        measure=factors_of_every_weight,
    ),
)
