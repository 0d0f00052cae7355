"""How many digits are left when outputs are very confident."""

import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites.case import Case
from fishergauge.suites.claim import FISHERS, Claim, Finding, Scope
from fishergauge.suites.closeness import unit_roundoff

GAPS = (2, 5, 10, 15, 20, 30, 40)
BOUND = 64.0  # roundings an entry, at most


class _Logits(nn.Module):
    """Outputs that are the parameters themselves, whatever the input."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits.expand(len(inputs), -1) + 0 * inputs[:, :1]


def confidence_ladder(case: Case) -> Finding:
    """The worst relative error of a single entry over logit gaps from 2 to 40; the note says what was lost at each."""
    dtype, device = case.problem.dtype, case.problem.device
    lost = []
    for gap in GAPS:
        logits = torch.tensor([float(gap), 0.0, 1.0], dtype=torch.float64)
        data = [(torch.ones(1, 1, dtype=dtype, device=device), torch.tensor([0], device=device))]
        problem = Problem(
            _Logits(logits.to(dtype)).to(device), nn.CrossEntropyLoss(), data, "confidence", Facts(saturated=True)
        )
        exact = _exact(logits)
        error = ((case.matrix(problem).double().cpu() - exact) / exact).abs().max()
        lost.append(float(error))
    digits = ", ".join(f"gap {gap}: {e:.0e}" for gap, e in zip(GAPS, lost, strict=True))
    return Finding(
        max(lost),
        BOUND * unit_roundoff(dtype),
        "64 u, entry by entry",
        f"relative errors: {digits}",
        f"relative errors: {digits}",
    )


def _exact(logits: Tensor) -> Tensor:
    """diag(p) - p p' without cancellation: 1 - p as the sum of the others."""
    p = logits.softmax(0)
    others = torch.stack([torch.cat([p[:i], p[i + 1 :]]).sum() for i in range(len(p))])
    return (p * others).diag() - torch.outer(p, p) * (1 - torch.eye(len(p), dtype=p.dtype))


CLAIMS = (
    Claim(
        id="C1",
        name="accurate-when-confident",
        statement="every entry keeps its relative accuracy for softmax outputs with logit gaps from 2 to 40",
        source="Higham 2002, sec. 1.7 (cancellation); Blanchard, Higham and Higham 2021 (softmax)",
        scope=Scope(targets=FISHERS, structures=("dense",), opt_in=True),
        informs=Scope(targets=FISHERS, structures=("dense",)),
        requires=frozenset({"natural-parameters", "categorical", "mean"}),
        bound="64 u",
        control="p - p p' computed as it stands",
        measure=confidence_ladder,
        cost=7,
    ),
)
