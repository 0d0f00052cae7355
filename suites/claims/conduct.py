"""How the subject behaves: what it returns, and what it leaves as it was."""

from fishergauge.suites.case import Case, SubjectFailed
from fishergauge.suites.claim import Claim, Finding, Scope

COUNTED = "a count, zero"


def well_formed(case: Case) -> Finding:
    """Shape, dtype, device and finite entries."""
    try:
        case.matrix()
    except SubjectFailed as failed:
        if failed.failure.kind == "error" and failed.failure.reason.startswith("MalformedMatrix"):
            return Finding(1.0, 0.0, COUNTED, failed.failure.reason.partition(": ")[2])
        raise
    return Finding(0.0, 0.0, COUNTED)


def leaves_no_trace(case: Case) -> Finding:
    """What a call, a product or a solution left changed: the model, its gradients, the data, the random state, the process."""
    outcome = case.use()
    changes = outcome.changes
    if outcome.failure is not None and not changes:
        raise SubjectFailed(outcome.failure)
    hint = "; torch.random.fork_rng() keeps the random state" if any("random" in change for change in changes) else ""
    return Finding(float(len(changes)), 0.0, COUNTED, f"left changed: {', '.join(changes)}{hint}")


CLAIMS = (
    Claim(
        id="T26-form",
        name="well-formed",
        statement="the matrix is (P, P), of the dtype and device of the parameters, without NaN or infinity",
        source="definition",
        scope=Scope(drawn=None),
        bound=COUNTED,
        control="a bias forgotten; a float32 result in float64; NaN",
        measure=well_formed,
        counts=True,
    ),
    Claim(
        id="T26-untouched",
        name="leaves-no-trace",
        statement="model, gradients, modes, hooks, data, random state, default dtype and threads are left as they were",
        source="definition",
        scope=Scope(drawn=None),
        bound=COUNTED,
        control="gradients accumulated; a hook left behind; the global generator moved",
        measure=leaves_no_trace,
    ),
)
