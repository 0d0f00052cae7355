"""A run of probes: verdicts, processes of their own, what is counted, and what is refused."""

import importlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem, ProblemError, UnsupportedError, ggn
from fishergauge.suites import probes as package
from fishergauge.suites.baseline import compare
from fishergauge.suites.claim import NotHere, Scope
from fishergauge.suites.closeness import ClaimViolated
from fishergauge.suites.probes import execution, plan, probing
from fishergauge.suites.probes.execution import ProbeExecutor, as_it_is
from fishergauge.suites.probes.large.catalogue import LARGE
from fishergauge.suites.probes.plan import ProbeOptions, chosen_probes, chosen_problems
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.probing import probe
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.records_file import read_records, write_records
from fishergauge.suites.selection import Check
from fishergauge.suites.subject import Subject

DATA = [(torch.ones(4, 30, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64))]


def small(name: str = "plane", facts: Facts | None = None) -> Problem:
    return Problem(nn.Linear(30, 2).double(), nn.MSELoss(), DATA, name, facts or Facts())


class Times:
    """The GGN times a number, by products."""

    def __init__(self, problem: Problem, factor: float = 1.0) -> None:
        self.exact, self.factor = ggn(problem), factor
        self.shape = self.exact.shape

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return self.factor * (self.exact @ vectors)


def equal(case: ProbeCase) -> ProbeFinding:
    _, mine, right = case.shared()
    measured = float((mine - right).norm() / right.norm())
    witness = f"{measured:.2f} too much"
    return ProbeFinding(measured, 1e-9, "1e-9", witness, "a note", 1e-6, "of |M|", measured, (0.0, 2 * measured))


def again(case: ProbeCase) -> ProbeFinding:
    vectors, mine, _ = case.shared()
    return ProbeFinding(float((case.product(vectors[:, :2]) - mine[:, :2]).norm()), 1e-9, "1e-9")


def nothing_here(case: ProbeCase) -> ProbeFinding:
    raise NotHere("no layer has a shape")


def broken(case: ProbeCase) -> ProbeFinding:
    raise ZeroDivisionError("oh")


def made(id: str, measure: Callable[[ProbeCase], ProbeFinding], **more: Any) -> Probe:
    fields = {"of": ("T1",), "source": "a book", "scope": Scope(), "bound": "1e-9", "blind": "much", "control": "a factor"}
    return Probe(id=id, statement=f"{id} holds", measure=measure, **{**fields, **more})


def catalogue(*probes: Probe) -> dict[str, Probe]:
    return {probe.id: probe for probe in probes}


EQUAL, AGAIN = made("probe-equal", equal), made("probe-again", again, of=("T26-linear",))
BOTH = catalogue(EQUAL, AGAIN)
RIGHT = Subject("right", Times, "ggn")
WRONG = Subject("wrong", lambda problem: Times(problem, 1.5), "ggn")


def run(subject: Subject, of: dict[str, Probe] = BOTH, isolate: bool = False, **more: Any) -> Any:
    return probe(subject, more.pop("problem", None) or small(), catalogue=of, isolate=isolate, **more)


def test_a_right_subject_holds_and_a_wrong_one_is_violated() -> None:
    report = run(RIGHT)
    assert (report.counts, report.exit_code) == ({"holds": 2}, 0)
    report.require()
    report = run(WRONG, command="fishergauge probe mine.py:wrong", seed=4)
    assert (report.counts, report.exit_code) == ({"holds": 1, "violated": 1}, 1)
    (record,) = report.red
    assert record.measured == pytest.approx(0.5)
    assert record.witness == "0.50 too much"
    assert record.again == "fishergauge probe mine.py:wrong --probes probe-equal --problems plane --seed 4"
    with pytest.raises(ClaimViolated, match="wrong: 1 probes are red"):
        report.require()


def test_a_record_has_what_the_finding_says_and_what_was_counted() -> None:
    first, second = run(RIGHT).records
    assert (first.power, first.seen, first.notes) == (1e-6, "of |M|", ("a note",))
    assert first.estimate == first.measured
    assert first.interval is not None
    assert (first.products, first.exact_products) == (8, 8)
    assert (second.products, second.exact_products) == (2, 0)
    assert first.num_parameters == 62
    assert first.peak_bytes is not None
    assert second.peak_bytes is not None
    assert first.peak_bytes >= (3 * 8 + 1) * 62 * 8  # X, A X and M X, and the problem
    assert second.peak_bytes >= 3 * 8 * 62 * 8  # which are held on
    assert first.factor == first.peak_bytes / 62
    assert ProbeRecord("a", "b", "c", peak_bytes=None).factor is None


def test_records_are_read_and_compared_as_those_of_checks(tmp_path: Path) -> None:
    write_records(run(Subject("s", RIGHT.build, "ggn")).records, tmp_path / "old.jsonl")
    write_records(run(Subject("s", WRONG.build, "ggn")).records, tmp_path / "new.jsonl")
    line = json.loads((tmp_path / "new.jsonl").read_text().splitlines()[0])
    assert {"power", "seen", "estimate", "interval", "products", "peak_bytes", "num_parameters"} <= line.keys()
    assert line["interval"] == [0.0, pytest.approx(1.0)]
    compared = compare(read_records(tmp_path / "old.jsonl"), read_records(tmp_path / "new.jsonl"))
    assert [(change.kind, change.red) for change in compared.changes if change.kind != "note"] == [("regression", True)]


def test_what_the_subject_refuses_or_fails_in_is_said() -> None:
    def refusing(problem: Problem) -> Any:
        raise NotImplementedError("nothing at all")

    report = run(Subject("shy", refusing, "ggn"))
    assert (report.counts, report.exit_code) == ({"unsupported": 2}, 3)
    assert set(report.vacuous) == {"probe-equal", "probe-again"}
    assert report.text().count("vacuous") == 1

    def failing(problem: Problem) -> Any:
        raise ValueError("too big")

    report = run(Subject("big", failing, "ggn"))
    assert (report.counts, report.exit_code) == ({"error": 2}, 1)
    assert "ValueError: too big" in report.records[0].reason
    assert "let it raise NotImplementedError" in report.records[0].reason
    report = run(Subject("list", lambda problem: [1.0], "ggn"))
    assert "returned a list" in report.records[0].reason


@pytest.mark.parametrize(
    "array",
    [
        lambda size: torch.empty(10**6, 10**11),  # more than addresses reach
        lambda size: np.empty((10**6, 10**11)),
        lambda size: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory")),
    ],
    ids=["torch", "numpy", "cuda"],
)
def test_a_subject_without_memory_for_its_array_is_told_to_multiply(array: Callable[[int], Any]) -> None:
    report = run(Subject("array", lambda problem: array(problem.num_parameters), "ggn"))
    record = report.records[0]
    size = f"{8 * record.num_parameters**2 / 1e9:.3g} GB"
    assert record.reason.endswith(
        f"An array (P, P) of this problem has {size}: return an operator that multiplies in its place"
    )


def test_the_reference_computes_nothing_for_a_subject_that_fails() -> None:
    def dear(case: ProbeCase) -> ProbeFinding:
        raise AssertionError("measured all the same")

    def failing(problem: Problem) -> Any:
        raise ValueError("no")

    report = run(Subject("no", failing, "ggn"), catalogue(made("probe-dear", dear)))
    assert "ValueError: no" in report.records[0].reason


def test_a_probe_without_content_is_left_out_and_one_that_fails_itself_is_red() -> None:
    report = run(RIGHT, catalogue(EQUAL, made("probe-empty", nothing_here)))
    assert [record.claim for record in report.records] == ["probe-equal"]
    assert report.exit_code == 0
    report = run(RIGHT, catalogue(EQUAL, made("probe-empty", nothing_here)), probes="probe-empty")
    assert (report.exit_code, list(report.vacuous)) == (3, ["probe-empty"])
    report = run(RIGHT, catalogue(made("probe-broken", broken)))
    assert report.exit_code == 1
    assert "fishergauge itself failed here, not the subject" in report.records[0].reason
    assert "ZeroDivisionError: oh" in report.records[0].reason


def test_a_probe_speaks_of_its_kind_of_problem_alone() -> None:
    here, elsewhere = frozenset({"squared"}), frozenset({"categorical"})
    probes = catalogue(made("probe-here", equal, requires=here), made("probe-there", equal, requires=elsewhere))
    report = run(RIGHT, probes, probes="here,there")
    assert [record.claim for record in report.records] == ["probe-here"]
    assert "the loss is cross-entropy" in report.vacuous["probe-there"]
    report = run(RIGHT, catalogue(EQUAL, made("probe-not", equal, excludes=here)))
    assert len(report.records) == 1


def test_what_is_not_promised_is_measured_where_it_informs() -> None:
    diagonal = Scope(structures=("diagonal",))
    informing, silent = made("probe-i", equal, scope=diagonal, informs=True), made("probe-s", equal, scope=diagonal)
    report = run(WRONG, catalogue(informing, silent))
    assert [(r.claim, r.verdict) for r in report.records] == [("probe-i", "not-claimed")]
    assert report.records[0].measured == pytest.approx(0.5)
    assert report.exit_code == 0
    assert run(Subject("w", WRONG.build, "ggn", disclaims=["probe-equal"]), BOTH).exit_code == 0
    assert run(Subject("w", WRONG.build, "ggn", disclaims=["T1"]), BOTH).exit_code == 0


def test_probes_are_chosen_by_id_with_or_without_its_head_and_by_claim() -> None:
    for pattern in ("probe-again", "again", "T26-linear", "T26*"):
        assert [one.id for one in chosen_probes(RIGHT, ProbeOptions(probes=pattern), BOTH)] == ["probe-again"]
    assert len(chosen_probes(RIGHT, ProbeOptions(), BOTH)) == 2
    assert chosen_probes(Subject("d", Times, structure="diagonal"), ProbeOptions(), catalogue(made("probe-d", equal))) != []


def test_a_call_that_is_stopped_twice_is_not_tried_again() -> None:
    class Slow(Times):
        def __matmul__(self, vectors: Tensor) -> Tensor:
            signal.pause()  # until the alarm rings
            return vectors

    probes = catalogue(*(made(f"probe-{n}", equal) for n in range(4)))
    report = run(Subject("slow", Slow, "ggn"), probes, limit=0.05)
    assert [record.verdict for record in report.records] == ["error"] * 4
    assert ["stopped after 0.05 s" in record.reason for record in report.records] == [True, True, False, False]
    assert "not tried, as 2 calls" in report.records[3].reason


@pytest.mark.skipif(bool(probing.why_not_isolated()), reason="processes cannot fork here")
def test_a_process_that_ends_costs_its_probe_and_the_rest_is_not_tried_for_ever() -> None:
    class Deadly(Times):
        def __matmul__(self, vectors: Tensor) -> Tensor:
            os._exit(7)

    starts: list[int] = []

    def measured(case: ProbeCase) -> ProbeFinding:
        case.raw()
        return ProbeFinding(0.0, 1.0, "one")

    probes = catalogue(
        made("probe-harmless", measured), *(made(f"probe-{n}", equal) for n in range(3)), made("probe-last", measured)
    )
    report = run(Subject("deadly", Deadly, "ggn"), probes, isolate=True, progress=lambda *three: starts.append(three[0]))
    assert [record.verdict for record in report.records] == ["holds", "error", "error", "error", "error"]
    assert report.records[1].reason == "the process ended with exit code 7"
    assert report.records[3].reason.startswith("not tried, as the process of this problem ended 2 times")
    assert starts == [1, 2, 3, 4, 5]
    assert "P = 62" in report.text()
    assert report.exit_code == 1


@pytest.mark.skipif(bool(probing.why_not_isolated()), reason="processes cannot fork here")
def test_a_run_in_a_process_of_its_own_finds_the_same() -> None:
    here, there = (run(WRONG, isolate=isolate).records for isolate in (False, True))
    assert [(r.claim, r.measured, r.products) for r in here] == [(r.claim, r.measured, r.products) for r in there]
    assert torch.get_num_threads() >= 1


def test_outcomes_keep_no_vectors() -> None:
    kept: list[ProbeCase] = []

    def keeping(case: ProbeCase) -> ProbeFinding:
        kept.append(case)
        return equal(case)

    run(RIGHT, catalogue(made("probe-k", keeping)))
    assert kept[0].outcomes
    assert all(outcome.value is None for outcome in kept[0].outcomes)


def test_the_problems_are_those_that_the_options_choose(tmp_path: Path) -> None:
    def names(**more: Any) -> list[str]:
        return list(chosen_problems(ProbeOptions(**more)))

    smallest = [name for name, entry in LARGE.items() if entry.size == "1e4"]
    assert names() == smallest
    assert names(quick=True) == smallest[:1]
    assert names(size="1e6", quick=True) == ["mlp-1e6"]
    assert names(problems="mlp-1e5,mlp-1e6", quick=True) == ["mlp-1e5", "mlp-1e6"]
    assert names(problems="mlp-*", size="1e7") == ["mlp-1e7"]
    assert names(problems="*", size="1e5") == [name for name, entry in LARGE.items() if entry.size == "1e5"]
    file = tmp_path / "own.py"
    file.write_text(OWN)
    own: dict[str, Any] = {"problem_files": (file,)}
    assert names(**own) == ["mine"]
    assert names(**own, size="1e6", quick=True) == ["mlp-1e6", "mine"]
    assert names(**own, problems="mlp-1e4") == ["mlp-1e4"]
    assert plan.sizes() == ["1e4", "1e5", "1e6", "1e7"]


OWN = """
from torch import nn
from fishergauge.suites import Facts, Problem
def mine(s):
    return Problem(s.module(lambda: nn.Linear(30, 2)), nn.MSELoss(), [(s.normal(4, 30), s.normal(4, 2))], s.name{facts})
problems = [mine]
""".replace("{facts}", "")


def test_a_problem_of_ones_own_that_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN.replace("s.name)", "s.name, Facts(tied_weights=True))"))
    with pytest.raises(ProblemError, match="mine cannot be built: it declares what it is not: tied_weights"):
        probe(RIGHT, problem_files=[file], catalogue=BOTH, isolate=False)
    file.write_text(OWN)
    assert probe(RIGHT, problem_files=[file], catalogue=BOTH, isolate=False).exit_code == 0
    with pytest.raises(ProblemError, match="tied_weights"):
        run(RIGHT, problem=small(facts=Facts(tied_weights=True)))


def test_facts_of_the_catalogue_and_of_large_problems_are_taken_on_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    untrue = small("mlp-1e4", Facts(tied_weights=True))
    monkeypatch.setattr(probing, "chosen_problems", lambda options: {"mlp-1e4": as_it_is(untrue)})
    assert probe(RIGHT, catalogue=BOTH, isolate=False).exit_code == 0  # of the catalogue, whose own tests look at it
    monkeypatch.setattr(execution, "FACTS_UP_TO", 10)
    assert run(RIGHT, problem=small(facts=Facts(tied_weights=True))).exit_code == 0


def test_a_problem_of_the_catalogue_that_cannot_be_built_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(dtype: torch.dtype, device: str, seed: int) -> Problem:
        raise UnsupportedError("the digits come with a package; install it")

    chosen = {"mlp-1e4": as_it_is(small("mlp-1e4")), "mlp-digits-1e5": absent}
    monkeypatch.setattr(probing, "chosen_problems", lambda options: chosen)
    report = probe(RIGHT, catalogue=BOTH, isolate=False)
    assert report.left_out == {"mlp-digits-1e5": "the digits come with a package; install it"}
    assert report.exit_code == 0
    assert "left out  mlp-digits-1e5: the digits come with a package" in report.text()
    monkeypatch.setattr(probing, "chosen_problems", lambda options: {"mlp-digits-1e5": absent})
    with pytest.raises(ProblemError, match="mlp-digits-1e5 cannot be built: the digits come"):
        probe(RIGHT, catalogue=BOTH, isolate=False)


def test_one_problem_at_a_time_is_kept() -> None:
    builds: list[str] = []

    def builder(name: str) -> Callable[[torch.dtype, str, int], Problem]:
        return lambda dtype, device, seed: builds.append(name) or small(name)  # type: ignore[func-returns-value]

    executor = ProbeExecutor(RIGHT, ProbeOptions(), {"a": builder("a"), "b": builder("b")}, BOTH)
    for name in ("a", "a", "b", "a"):
        executor.run(Check("probe-equal", name))
    assert builds == ["a", "b", "a"]


@pytest.mark.parametrize("wrong", [{"dtype": "float16"}, {"size": "1e9"}, {"limit": 0.0}])
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ProbeOptions(**wrong)


def test_every_probe_of_the_package_is_in_the_registry_once() -> None:
    from fishergauge.suites.probes.registry import PROBES

    found: list[Probe] = []
    for path in Path(package.__path__[0]).glob("*.py"):
        if not path.name.startswith("test_"):
            found += getattr(importlib.import_module(f"{package.__name__}.{path.stem}"), "PROBES", ())
    own = [one for one in found if isinstance(one, Probe)]
    assert {one.id for one in own} == PROBES.keys()
    assert all(id == one.id and id.startswith("probe-") for id, one in PROBES.items())
    assert all(one.statement and one.source and one.bound and one.blind and one.control and one.of for one in PROBES.values())


def test_every_probe_stands_for_claims_that_there_are() -> None:
    from fishergauge.suites.claims import CLAIMS
    from fishergauge.suites.probes.registry import PROBES
    from fishergauge.suites.tags import TAGS

    assert {claim for one in PROBES.values() for claim in one.of} <= CLAIMS.keys()
    assert {tag for one in PROBES.values() for tag in one.requires | one.excludes} <= TAGS.keys()
