"""A block-diagonal subject: nothing between its blocks, and each block that of the exact target."""

from collections.abc import Mapping

import torch

from fishergauge.reference import block_slices
from fishergauge.suites.claim import FACTORED, NotHere, Scope
from fishergauge.suites.probes.block_masks import Leak
from fishergauge.suites.probes.linearity import FORMULA
from fishergauge.suites.probes.locating import located
from fishergauge.suites.probes.power import seen_relative
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import quotient, size_of

MANY_BLOCKS = 16
"""From here on one column a block is multiplied, else two."""


def leak_of(case: ProbeCase, per: str) -> Leak:
    """What the subject has between the blocks of layers or of parameters, measured once.

    Raises:
        NotHere: there is one block only.
    """
    slices = block_slices(case.problem, per)  # type: ignore[arg-type]
    if len(slices) < 2:
        raise NotHere("the model has one block only")
    return case.once(("leak", per), lambda: Leak(case, slices))


def leak(case: ProbeCase) -> ProbeFinding:
    r"""A (w o x) against w o (A x) for weights w that are constant on each block, over the norms of both.

    Four vectors of length P beside the shared ones; one product for each of these.
    """
    per = "parameter" if case.subject.bias == "separate" else "layer"
    found, bound = leak_of(case, per), case.bound()
    witness = "" if found.measured <= bound else f"{found.where or 'the model'}: its rows have entries in other blocks"
    seen = f"what is between two blocks (a {per} each), relative to |A|_F"
    return ProbeFinding(found.measured, bound, FORMULA, witness, power=found.power(bound), seen=seen)


def blocks(case: ProbeCase) -> ProbeFinding:
    r"""The products of each block with its part of one or two shared vectors against those of the exact block.

    .. math:: \frac{|(A x)_b - (M P_b x)_b|}{\max(|(M P_b x)_b|, |M|_F |P_b x| / \sqrt P)}

    since of a matrix of blocks (A x)_b is A_bb x_b. Three vectors of length P beside the shared ones; no product of the
    subject, one or two exact ones for each block. Where the bias is not declared, it is in a block of its own if nothing leaks.
    """
    slices = _own_blocks(case)
    vectors, products, _ = case.shared()
    columns = min(case.columns, 2 if len(slices) <= MANY_BLOCKS else 1)
    measured, bound, witness = 0.0, case.bound(), ""
    for name, part in slices.items():
        for column in range(columns):
            inside = torch.zeros_like(vectors[:, column])
            inside[part] = vectors[part, column]
            mine, right = products[part, column], case.exact_product(inside)[part]
            deviation = quotient(float((mine - right).double().norm()), size_of(case, inside, right))
            if deviation > max(measured, bound):
                witness = located(mine, right, {f"the block of {name or 'the model'}": slice(None)})
            measured = max(measured, deviation)
    seen = "|A_b - M_b|_F of one block, relative to |M_b|_F (of a block that is not small among the others)"
    return ProbeFinding(measured, bound, FORMULA, witness, power=seen_relative(bound, columns), seen=seen)


def _own_blocks(case: ProbeCase) -> Mapping[str, slice]:
    """The blocks that the subject declares, or that its products show."""
    separate = block_slices(case.problem, "parameter")
    if case.subject.bias == "separate" or len(separate) < 2:
        return separate
    if case.subject.bias is None and leak_of(case, "parameter").measured <= case.bound():
        return separate
    if case.problem.facts.tied_weights:
        raise NotHere("a tied weight has no layer of its own: which biases share its block is not determined")
    return block_slices(case.problem, "layer")


PROBES = (
    Probe(
        id="probe-leak",
        statement="nothing is between the blocks of layers, or of parameters where the bias is declared separate",
        of=("S1", "T1"),
        source="Martens and Grosse 2015, sec. 4",
        scope=Scope(structures=("block-diagonal", *FACTORED), drawn=None),
        bound=f"{FORMULA}, relative to the products",
        blind="entries between two blocks below its power",
        control="a correlation between layers",
        measure=leak,
    ),
    Probe(
        id="probe-blocks",
        statement="each diagonal block is that of the exact target",
        of=("T1",),
        source="Martens 2020, sec. 9.2; Schraudolph 2002, eq. 6",
        scope=Scope(structures=("block-diagonal",)),
        bound=FORMULA,
        blind="a deviation below its power; a mistake that the reference shares",
        control="K-FAC declared exact; the block between weight and bias lost although declared joint",
        measure=blocks,
    ),
)
