"""What is claimed of Laplace posteriors of linear models, and the rules that judge it."""

from collections.abc import Sequence
from typing import Any

import torch

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import CONDITIONAL, GGN_EXPERIMENTS, LedgerEntry
from fishergauge.suites.closeness import rounding_bound

SOURCE = f"{GGN_EXPERIMENTS}; section on linear models, figure posterior_approx/kernel.png"
ROY = "Roy et al., NeurIPS 2024, sec. 3, as quoted there"
Row = dict[str, Any]


def posterior_entries(results: Results) -> list[LedgerEntry]:
    """The entries for which there are results."""
    axes = [(cell, record) for cell, record in results if dict(cell.settings)["study"] == "axes"]
    splits = [row for cell, record in results if dict(cell.settings)["study"] == "split" for row in record["rows"]]
    found: dict[int, tuple[Claim, str, str]] = {}
    if axes:
        found[1] = kernel_of_axes(axes), "log-normal", SOURCE
        found[2] = published_covariance(axes), "log-normal", f"{SOURCE}; program posterior_approx/plotting.py"
        found[3] = exact_posterior(axes), "log-normal", SOURCE
    if splits:
        found[4] = real_kernel(splits), "bumps", f"{SOURCE}; {ROY}"
    return [claim.entry("posterior", number, data, source) for number, (claim, data, source) in found.items()]


def axes_verdict(kernel_dimension: float, least_share: float) -> str:
    """Confirmed if there is a kernel and the axis that stands for it leaves the predictions alone; refuted otherwise."""
    return "confirmed" if kernel_dimension >= 1 and least_share < 1e-9 else "refuted"


def kernel_of_axes(axes: Sequence[tuple[Cell, Record]]) -> Claim:
    """The claim that the axes of the ellipse are kernel and image."""
    published, others = _by_protocol(axes)
    shares = [_axis(record, "major axis")["share"] for _, record in (*published, *others)]
    dimension = max(record["summary"]["kernel_dimension"] for _, record in (*published, *others))
    first = published[0][1] if published else others[0][1]
    major, minor = _axis(first, "major axis"), _axis(first, "minor axis")
    verdict = axes_verdict(dimension, min(shares))
    return Claim(
        "The major axis of the posterior's ellipse is the kernel contribution (reparametrisations), the minor axis the "
        "non-kernel contribution (functional changes).",
        "two panels with lines along the two axes",
        f"eigenvalues of the GGN {major['eigenvalue']:.0f} and {minor['eigenvalue']:.0f}: neither is zero; the major axis has "
        f"{major['share']:.1%} of the variance of the predictions, the minor axis {minor['share']:.1%}",
        f"over {len(shares)} draws of the data the major axis has {min(shares):.1%} to {max(shares):.1%}",
        Judgement(
            verdict,
            "with N = 1000 inputs and two parameters the GGN has full rank, and no kernel. An axis contributes "
            "lambda / (lambda + alpha) to the variance of the N predictions in units of the noise, nearly one for each: the "
            "axis that the parameters vary along most changes the function as much as the other.",
        ),
        {
            "kernel_dimension": dimension,
            "share_of_major_axis": major["share"],
            "least_share": min(shares),
            "largest_share": max(shares),
            "determined_by_major_axis": major["determined"],
            "determined_by_minor_axis": minor["determined"],
        },
    )


def covariance_verdict(ratio: float) -> str:
    """Confirmed where the published covariance is that of Bayes' rule up to a tenth."""
    return "confirmed" if abs(ratio - 1) <= 0.1 else "refuted"


def published_covariance(axes: Sequence[tuple[Cell, Record]]) -> Claim:
    """The claim that the program draws the posterior that the formula gives."""
    published, others = _by_protocol(axes)
    first = (published or others)[0][1]
    major, ratio = _axis(first, "major axis"), float(first["summary"]["covariance_ratio"])
    return Claim(
        "The samples shown are of q = N(theta_MAP, (GGN + alpha I)^-1), with the GGN a sum over the data.",
        "formula in the text; the program draws with the inverse of (GGN + alpha I) / N",
        f"standard deviation along the major axis {major['published_deviation']:.3g} in the program",
        f"{major['deviation']:.3g} by Bayes' rule: the covariance is {ratio:.0f} times too large, the N that was divided by",
        Judgement(
            covariance_verdict(ratio),
            "the Hessian of the mean loss is taken for that of the negative log-likelihood of all data, and the prior is "
            "divided likewise: the N-th root of the posterior, as wide as if there were one average observation, and a fan of "
            "lines that the data exclude. The formula in the text, with its sum over n, is right.",
        ),
        {"covariance_ratio": ratio, "deviation": major["deviation"], "published_deviation": major["published_deviation"]},
    )


def exactness_verdict(deviation: float, bound: float) -> str:
    """Confirmed within the rounding bound."""
    return "confirmed" if deviation <= bound else "refuted"


def exact_posterior(axes: Sequence[tuple[Cell, Record]]) -> Claim:
    """The claim that the approximation is reliable where outputs are linear in the parameters."""
    summaries = [record["summary"] for _, record in axes]
    worst = max(max(s["mean_deviation"], s["covariance_deviation"]) for s in summaries)
    condition = max(s["conjugate_condition"] for s in summaries)
    bound = rounding_bound(torch.float64, int(summaries[0]["samples"]), condition)
    return Claim(
        '"For a linear relationship between the parameters, the Laplace approximation will give a reliable approximation '
        'to the posterior distribution."',
        "no figure",
        "mean and covariance from GGN and prior",
        f"against Bayes' rule as a Gaussian process over the targets: deviation {worst:.1e}, rounding bound {bound:.1e}",
        Judgement(
            exactness_verdict(worst, bound),
            "linear in the parameters with Gaussian noise of known variance: the posterior is Gaussian, and nothing is "
            "approximated. With class labels the posterior of a linear model is not Gaussian, and the approximation is one.",
        ),
        {"worst_deviation": worst, "bound": bound},
    )


ON_THE_DATA = CONDITIONAL + "the function is looked at on the training inputs"


def kernel_verdict(rows: Sequence[Row]) -> str:
    """Draws in the kernel must leave the predictions on the data alone; if they move others, the claim is about the data."""
    kernels = [row for row in rows if row["kernel_dimension"] > 0]
    still = bool(kernels) and all(row["kernel_moves_data"] <= row["kernel_moves_data_bound"] for row in kernels)
    prior = all(row["kernel_variance_deviation"] <= row["kernel_variance_bound"] for row in kernels)
    if not still or not prior:
        return "refuted"
    return ON_THE_DATA if max(row["kernel_moves_elsewhere"] for row in kernels) > 1e-3 else "confirmed"


def real_kernel(rows: Sequence[Row]) -> Claim:
    """The claim on kernel and image, where there is a kernel."""
    kernels = [row for row in rows if row["kernel_dimension"] > 0]
    shown = [row for row in rows if row["samples"] == 8]
    still = max((row["kernel_moves_data"] for row in kernels), default=float("nan"))
    elsewhere = [row["kernel_moves_elsewhere"] for row in shown]
    share = [row["kernel_share_of_parameters"] for row in shown]
    return Claim(
        "The posterior splits into reparametrisations of the function (kernel) and functional changes (non-kernel).",
        "shown on a model without a kernel, see POSTERIOR.1",
        "not possible there",
        f"24 parameters, 2 to 64 data: draws in the kernel move the predictions on the data by at most {still:.0e} of what "
        f"whole draws do; between the data, with 8 of them, by {min(elsewhere):.0%} to {max(elsewhere):.0%}",
        Judgement(
            kernel_verdict(rows),
            f"the kernel has P - N dimensions, carries {min(share):.0%} to {max(share):.0%} of the variance of the parameters "
            "with 8 data, and keeps the prior's variance exactly. On other inputs its draws are other functions: "
            "reparametrisation is meant on the data.",
        ),
        {
            "kernel_moves_data": still,
            "least_moved_elsewhere": min(elsewhere),
            "largest_moved_elsewhere": max(elsewhere),
            "kernel_share_of_parameters": max(share),
            "largest_deviation_from_prior": max((row["kernel_variance_deviation"] for row in kernels), default=float("nan")),
        },
    )


def _by_protocol(
    axes: Sequence[tuple[Cell, Record]],
) -> tuple[list[tuple[Cell, Record]], list[tuple[Cell, Record]]]:
    published = [one for one in axes if one[0].protocol == "published"]
    return published, [one for one in axes if one[0].protocol != "published"]


def _axis(record: Record, name: str) -> Row:
    row: Row = next(row for row in record["rows"] if row["axis"] == name)
    return row
