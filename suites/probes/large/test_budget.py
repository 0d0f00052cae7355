"""Memory against P: counted for single products and for a run of all probes, and a dense array is seen."""

import math
from collections.abc import Sequence

import pytest
import torch

from fishergauge.reference import Problem, ggn, kfac
from fishergauge.reference.curvature import Curvature
from fishergauge.suites import Subject
from fishergauge.suites.probes.large.budget import LINEAR, VECTORS, Peak, bytes_a_parameter, exponent
from fishergauge.suites.probes.large.catalogue import LARGE
from fishergauge.suites.probes.large.product_cost import product_cost
from fishergauge.suites.probes.probing import probe
from fishergauge.suites.probes.record import ProbeRecord

FLOAT = torch.float64.itemsize
PRODUCT = {"ggn": 4, "hessian": 5, "kfac": 8}
"""Vectors that a product may take: a copy of the parameters, the product by parameters and as a whole, one more for what is
being added up, for the Hessian the gradient; of K-FAC the factors of square layers are two, and the places of parameters in
the vector are integers as long as P."""
SUBJECTS = {
    "ggn": Subject("ggn", ggn, target="ggn"),
    "kfac": Subject("kfac", kfac, target="fisher", structure="kronecker"),
}


@pytest.mark.parametrize("matrix", PRODUCT)
def test_a_product_takes_a_few_vectors(matrix: str) -> None:
    small, large = (product_cost(LARGE[f"mlp-{size}"].problem(torch.float64), matrix, 1).peak for size in ("1e5", "1e6"))
    assert bytes_a_parameter(small, large) <= PRODUCT[matrix] * FLOAT
    assert exponent(small, large) <= LINEAR


@pytest.mark.parametrize("matrix", PRODUCT)
@pytest.mark.parametrize("family", ["resnet", "transformer"])
def test_a_product_is_linear_in_the_parameters_beside_larger_activations(family: str, matrix: str) -> None:
    small, large = (product_cost(LARGE[f"{family}-{size}"].problem(torch.float64), matrix, 1).peak for size in ("1e4", "1e5"))
    assert exponent(small, large) <= LINEAR


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_a_run_of_all_probes_keeps_to_the_budget(subject: Subject) -> None:
    report = probe(subject, problems="mlp-1e4,mlp-1e5", isolate=False)
    peaks = [_peak(report.records, f"mlp-{size}") for size in ("1e4", "1e5")]
    assert all(peak.peak_bytes > 24 * FLOAT * peak.num_parameters for peak in peaks)  # X, A X and M X of eight columns each
    assert bytes_a_parameter(*peaks) <= VECTORS * FLOAT
    assert exponent(*peaks) <= LINEAR


def test_a_subject_that_keeps_an_array_that_is_not_linear_in_the_parameters_is_seen() -> None:
    def build(problem: Problem) -> Curvature:
        matrix, size = ggn(problem), problem.num_parameters
        matrix.__dict__["kept"] = torch.zeros(size, math.isqrt(size), dtype=torch.float64)
        return matrix

    report = probe(Subject("heavy", build, target="ggn"), problems="mlp-1e4,mlp-1e5", probes="probe-linear", isolate=False)
    peaks = [_peak(report.records, f"mlp-{size}") for size in ("1e4", "1e5")]
    assert exponent(*peaks) > LINEAR
    assert bytes_a_parameter(*peaks) > VECTORS * FLOAT


def test_the_budget_is_what_the_largest_problems_leave() -> None:
    process = 2**33 - VECTORS * FLOAT * LARGE["mlp-1e7"].problem().num_parameters
    assert 0.5 * 2**30 <= process <= 2**30


def _peak(records: Sequence[ProbeRecord], problem: str) -> Peak:
    found = [record for record in records if record.problem == problem]
    assert all(record.verdict in ("holds", "not-claimed") for record in found), found
    return Peak(found[0].num_parameters, max(record.peak_bytes or 0 for record in found))
