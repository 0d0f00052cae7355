"""A small data set for tests."""

from fishergauge.reports.data import DataSet, generate


def small_data(samples: int = 300, features: int = 6, classes: int = 3) -> DataSet:
    """A data set of the notebooks' kind, small enough for tests."""
    inputs, targets = generate(samples, features, classes, seed=5)
    return DataSet("small", inputs, targets, inputs, targets, classes, features)
