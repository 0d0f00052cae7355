"""Planted defects for the catalogue against the oracle."""

from dataclasses import replace

from fishergauge import reference
from fishergauge.suites import test_zoo
from fishergauge.suites.meta import altered as a
from fishergauge.suites.meta import defects as d
from fishergauge.suites.meta.plants import COLUMNS, EMPTY, PER_CENT, RIGHT, Plant, plant
from fishergauge.suites.quantities import Quantities


def _on(problem: str, quantity: str, defect: str, quantities: Quantities) -> Plant:
    test = test_zoo.test_a_quantity_equals_its_oracle_on_the_catalogue
    return plant(test, defect, quantities, name=problem, quantity=quantity)


ZOO_PLANTS = [
    _on("conv-padding-sum", "ggn", "scale off by one per cent", PER_CENT),
    _on("product-data", "empirical_fisher", "the Fisher sold as empirical", replace(RIGHT, empirical_fisher=reference.fisher)),
    _on("mlp-square", "fisher", "a square layer transposed", COLUMNS),
    _on("positions-linear", "hessian", "GGN sold as Hessian", replace(RIGHT, hessian=reference.ggn)),
    _on("masked-positions", "ggn", "masked labels counted", replace(RIGHT, ggn=d.ignored_labels_counted)),
    _on("deep-linear-bias-sum", "hessian", "asymmetry of 1e-6", d.all_matrices(a.asymmetric)),
    _on("duplicated-data", "empirical_fisher", "square of the mean gradient",
        replace(RIGHT, empirical_fisher=d.batch_gradient_as_sample)),
    _on("soft-targets", "fisher", "a Fisher of soft targets", EMPTY),
    plant(test_zoo.test_the_fisher_of_many_terms_is_the_mean_over_their_parts, "scale off by one per cent", PER_CENT,
          name="stat-gaussian"),
    plant(test_zoo.test_the_fisher_of_many_terms_is_the_mean_over_their_parts, "mean of batch means",
          d.all_matrices(a.per_batch), name="stat-binary"),
    plant(test_zoo.test_the_catalogue_in_float32_meets_the_oracle_in_float64, "p - p p' of confident outputs",
          replace(RIGHT, ggn=d.cancelling_softmax), name="saturated-softmax", quantity="ggn"),
    plant(test_zoo.test_the_catalogue_in_float32_meets_the_oracle_in_float64, "scale off by one per cent", PER_CENT,
          name="small-attention", quantity="hessian"),
]  # fmt: skip
