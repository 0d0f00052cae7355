"""Random records for property tests of files and comparisons."""

import math

from hypothesis import strategies as st

from fishergauge.suites.record import VERDICTS, Record

TEXTS = st.text(max_size=20)
NUMBERS = st.none() | st.floats() | st.integers(-3, 10**6).map(float)
VERSIONS = st.dictionaries(TEXTS, st.none() | TEXTS, max_size=3)


def records() -> st.SearchStrategy[Record]:
    """Any record, with whatever text and numbers its fields can hold."""
    return st.builds(
        Record,
        subject=TEXTS,
        claim=TEXTS,
        problem=TEXTS,
        dtype=st.sampled_from(["float64", "float32"]),
        device=st.sampled_from(["cpu", "cuda"]),
        seed=st.integers(),
        verdict=st.sampled_from(VERDICTS),
        measured=NUMBERS,
        bound=NUMBERS,
        formula=TEXTS,
        reason=TEXTS,
        source=TEXTS,
        witness=TEXTS,
        nearest=TEXTS,
        again=TEXTS,
        notes=st.lists(TEXTS, max_size=3).map(tuple),
        seconds=st.floats(0, 1e6),
        flops=st.none() | st.integers(0, 2**70),
        versions=VERSIONS,
    )


def runs() -> st.SearchStrategy[list[Record]]:
    """At least one record, no check twice."""
    return st.lists(records(), min_size=1, max_size=6, unique_by=lambda record: record.key)


def comparable(record: Record) -> dict[str, object]:
    """The fields with NaN replaced, as NaN does not equal itself."""
    return {k: "nan" if isinstance(v, float) and math.isnan(v) else v for k, v in record.as_dict().items()}
