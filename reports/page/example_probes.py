"""The part about large models in the example report, made up like it."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fishergauge.reports.page.part import Part
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.records_file import write_records

HELD = ProbeRecord(
    "ggn-products",
    "probe-exact",
    "mlp-1e6",
    measured=2e-16,
    bound=1e-12,
    formula="64 u sqrt(n)",
    power=1.4e-10,
    seen="|A - M|_F relative to |M|_F",
    products=13,
    exact_products=13,
    peak_bytes=400_000_000,
    num_parameters=977_170,
    seconds=1.5,
)


def example_probes(script: str, image: str) -> Part:
    """What the collector makes of records with hostile texts, all verdicts among them.

    Args:
        script: hostile text.
        image: hostile text.
    """
    from fishergauge.reports.page.probes_part import RECORDS, RUN, collect

    psd = replace(HELD, claim="probe-psd", estimate=-1e-9, interval=(-0.07, 1e-9), power=0.07, products=40)
    words: dict[str, Any] = {"witness": image, "reason": script, "again": "fishergauge probe my.py:subject"}
    records = [
        HELD,
        psd,
        replace(HELD, subject=script, problem="resnet-1e6", verdict="violated", measured=0.5, **words),
        replace(psd, subject=script, problem="resnet-1e6", verdict="error", measured=None, estimate=None, **words),
        replace(HELD, subject=script, problem=image, verdict="not-claimed", power=None, seen=image),
        replace(HELD, subject=script, problem=image, claim="probe-step", verdict="unsupported", measured=None, reason=image),
    ]
    subjects = [{"name": "ggn-products"}, {"name": script, "vacuous": {image: script}, "left_out": {"mlp-digits-1e6": image}}]
    content = {"schema": 1, "provenance": {"command": "fishergauge probe my.py:subject"}, "subjects": subjects}
    with TemporaryDirectory() as folder:
        out = Path(folder)
        (out / RUN).parent.mkdir()
        (out / RUN).write_text(json.dumps(content), encoding="utf-8")
        write_records(records, out / RECORDS)
        return replace(collect(out), files=(RECORDS,))
