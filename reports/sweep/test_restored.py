"""Numbers that JSON lacks come back, and nothing else changes."""

import math

from fishergauge.reports.sweep.restored import restored
from fishergauge.suites.jsonable import jsonable


def test_what_json_lacks_comes_back() -> None:
    content = {"a": float("inf"), "b": float("-inf"), "c": 1.0, "rank": None, "reason": "why", "n": 3, "text": "nan"}
    assert restored(jsonable(content)) == content
    assert math.isnan(restored(jsonable({"a": float("nan")}))["a"])
    assert restored({"a": None, "a_reason": "not measured"}) == {"a": None, "a_reason": "not measured"}
    assert restored({"a": 1.0, "a_reason": "inf"}) == {"a": 1.0, "a_reason": "inf"}
