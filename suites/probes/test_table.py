"""The text of a run of probes."""

from fishergauge.suites.claim import Scope
from fishergauge.suites.probes.probe import Probe
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.probes.table import blind_spots, estimates, listing, memory, probe_text, table

PROBE = Probe(
    "probe-psd",
    "the matrix has no negative eigenvalue",
    ("T26-psd",),
    "a book",
    Scope(),
    "64 u",
    "a negative eigenvalue below its power",
    "a sign",
    measure=lambda case: (_ for _ in ()).throw(AssertionError),
)
PROBES = {"probe-psd": PROBE}
HELD = ProbeRecord("mine", "probe-psd", "mlp-1e4", measured=1e-16, bound=1e-12, power=2e-3, seen="of the largest one")


def changed(**values: object) -> ProbeRecord:
    return ProbeRecord(**{**{name: getattr(HELD, name) for name in HELD.__dataclass_fields__}, **values})


def test_a_row_says_verdict_measured_bound_power_products_and_seconds() -> None:
    text = table([changed(products=31, seconds=1.25, num_parameters=9760)])
    head, names, row = text.splitlines()
    assert head == "mine on mlp-1e4 (P = 9,760, float64, cpu, seed 0)"
    assert names.split() == ["probe", "verdict", "measured", "bound", "power", "products", "seconds"]
    assert row.split() == ["probe-psd", "holds", "1e-16", "1e-12", "0.002", "31", "1.25"]
    assert len(row) == len(names)
    assert "\x1b[31mviolated\x1b[0m" in table([changed(verdict="violated")], color=True)
    assert table([HELD]).startswith("mine on mlp-1e4 (float64,")


def test_an_estimate_stands_with_its_interval() -> None:
    assert estimates([HELD]) == ""
    assert estimates([changed(estimate=3.14159, interval=(3.0, 3.25))]) == "estimates\n  probe-psd: 3.142 (3 to 3.25)"
    assert estimates([changed(estimate=2.0)]) == "estimates\n  probe-psd: 2"


def test_memory_is_that_of_the_highest_peak_with_its_factor() -> None:
    lower, higher = (
        changed(peak_bytes=800, num_parameters=10),
        changed(claim="probe-x", peak_bytes=1 << 21, num_parameters=8192),
    )
    assert memory([HELD]) == ""
    text = memory([lower, higher])
    assert text.startswith("memory: 2.0 MiB at most, in probe-x: 256 bytes a parameter, or 32.0 vectors of length P")
    assert "or 64.0 vectors" in memory([changed(peak_bytes=1 << 21, num_parameters=8192, dtype="float32")])


def test_what_cannot_be_seen_is_said_with_the_largest_power() -> None:
    text = blind_spots([HELD, changed(problem="mlp-1e5", power=5e-3)], PROBES)
    assert "probability 1 - 1e-6" in text
    assert "probe-psd: a negative eigenvalue below its power [power 0.005; of the largest one]" in text
    assert blind_spots([changed(measured=None)], PROBES) == ""


def test_the_whole_names_the_red_one_with_witness_and_command() -> None:
    red = changed(verdict="violated", measured=0.5, witness="x'Ax is negative", again="fishergauge probe mine.py:s --seed 0")
    text = probe_text(
        [HELD, changed(**{"claim": "probe-b"}), red], PROBES, 1.0, {"probe-v": "not executed"}, {"digits": "gone"}
    )
    for part in (
        "violated  probe-psd   mine on mlp-1e4",
        "claimed   the matrix has no negative eigenvalue",
        "witness   x'Ax is negative",
        "again     fishergauge probe mine.py:s",
        "vacuous   probe-v: not executed",
        "left out  digits: gone",
        "3 probes: 2 holds, 1 violated; 1.0 s",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_listing_has_all_that_is_known_of_a_probe() -> None:
    text = "\n".join(listing(PROBES))
    assert text.splitlines()[0] == "probe-psd"
    for part in ("statement", "stands for  T26-psd", "blind       a negative", "must fail   a sign"):
        assert part in text
