"""Ranks that share the data: what the claim clears, what it sees, and what it says of ranks that fail."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, distributed

from fishergauge.reference import Problem, ggn
from fishergauge.reference.distributed import sharded_curvature
from fishergauge.suites.claims import CLAIMS, sharding
from fishergauge.suites.claims.sharding import GROUPS, layouts
from fishergauge.suites.execution import Executor
from fishergauge.suites.meta.bank import BANK, CHAPTERS, Defect
from fishergauge.suites.ranks_subjects import sharded_subjects
from fishergauge.suites.record import Record
from fishergauge.suites.selection import Check, Options, ProblemSet, plan
from fishergauge.suites.subject import Subject
from fishergauge.suites.zoo import CATALOGUE, catalogue_problem

CLAIM = "T26-shards"
PROBLEM = "mlp-tanh-softmax"
SEEN_ON = {"P283": "masked-labels", "P288": "mlp-sigmoid-binary-sum"}
Group = distributed.ProcessGroup | None


def record(subject: Subject, problem: str = PROBLEM, limit: float = 0.5, dtype: str = "float64") -> Record:
    """What becomes of the check."""
    return Executor(subject, Options(limit=limit, dtype=dtype), explain=False).run(Check(CLAIM, problem, dtype))


def mine(build: Callable[..., Any]) -> Subject:
    return Subject("mine", build, target="ggn")


def on_ranks(act: Callable[[Problem, distributed.ProcessGroup], Any]) -> Subject:
    """Right in one process; on ranks something else."""

    def build(problem: Problem, group: Group = None) -> Any:
        return ggn(problem) if group is None else act(problem, group)

    return mine(build)


# --- who makes it, and where --------------------------------------------------------------------------------------------


def test_only_subjects_that_take_a_group_and_draw_nothing_make_the_claim() -> None:
    claim, subject = CLAIMS[CLAIM], on_ranks(lambda shard, group: None)
    assert subject.keywords == {"group"}
    assert claim.made_by(subject)
    assert not claim.made_by(replace(subject, disclaims=["shard-invariant"]))
    assert not claim.made_by(replace(subject, samples=1))
    assert not claim.made_by(mine(lambda problem: ggn(problem).dense()))


@pytest.mark.parametrize("samples", [1, 2, 6, 9, 10, 40])
def test_layouts_have_all_data_once_in_groups_of_one_two_and_three(samples: int) -> None:
    plans = layouts(samples)
    assert {plan.members for plan in plans} == set(GROUPS)
    assert {len(plan.members) for plan in plans} == {1, 2, 3}
    for one in plans:
        assert sum(one.counts) == samples
        assert sorted(one.holders) == list(range(len(one.members)))
    assert any(0 in one.counts for one in plans if len(one.members) == 2)
    assert any(0 in one.counts for one in plans if len(one.members) == 3)
    assert len({one.holders for one in plans if len(one.members) == 3}) > 1
    if samples >= 10:
        assert any(len(set(one.counts)) == 3 and 0 not in one.counts for one in plans)


def test_a_layout_gives_each_piece_to_its_holder_and_says_who_has_how_many() -> None:
    problem = catalogue_problem(PROBLEM)
    one = sharding.Layout((0, 1, 2), (3, 2, 1), (2, 0, 1))
    assert [one.shard(problem, rank).num_samples for rank in range(3)] == [2, 1, 3]
    assert torch.equal(one.shard(problem, 2).inputs, problem.inputs[:3])
    assert str(one) == "3 ranks with 2 and 1 and 3 samples"


# --- what is cleared ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("problem", [PROBLEM, "masked-labels", "one-sample-softmax", "mlp-sigmoid-binary-sum"])
@pytest.mark.parametrize("subject", sharded_subjects(), ids=lambda subject: subject.name)
def test_right_subjects_are_cleared(subject: Subject, problem: str, dtype: str) -> None:
    found = record(subject, problem, limit=10.0, dtype=dtype)
    assert found.verdict == "holds", found
    assert found.measured is not None


def test_it_is_planned_for_them_on_most_problems() -> None:
    options = Options(claims=CLAIM)
    (subject, *_) = sharded_subjects()
    names = [check.problem for check in plan(subject, options, ProblemSet(options))]
    assert len(names) > 0.7 * len(CATALOGUE)


# --- what is seen -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("defect", CHAPTERS["ranks"], ids=lambda defect: defect.id)
def test_a_defect_is_right_in_one_process_and_red_on_ranks(defect: Defect) -> None:
    subject = defect.make()
    problem = SEEN_ON.get(defect.id, PROBLEM)
    found = record(subject, problem)
    assert defect.sees == (CLAIM,)
    assert found.red, found
    alone = Executor(subject, Options(), explain=False).run(Check("T26-form", problem))
    assert alone.verdict == "holds"


@pytest.mark.parametrize("id", SEEN_ON)
def test_a_wrong_count_is_right_where_all_counts_agree(id: str) -> None:
    assert record(BANK[id].make(), limit=10.0).verdict == "holds"


def test_the_witness_names_layout_rank_and_entry() -> None:
    witness = record(BANK["P286"].make()).witness
    assert re.fullmatch(r"\d ranks with [\d and]+ samples( \(process \d and \d\))?: rank \d has [\w.]+.*: .+", witness), witness


def hanging(shard: Problem, group: Any) -> Tensor:
    while shard.num_samples == 0:
        time.sleep(0.01)
    return ggn(shard).dense()


def first_raises(shard: Problem, group: Any) -> Tensor:
    if distributed.get_rank(group) == 0:
        raise ValueError("no such layer")
    return sharded_curvature(shard, group, ggn).dense()


def last_ends(shard: Problem, group: Any) -> Tensor:
    if distributed.get_rank(group) == 1:
        os._exit(3)
    return sharded_curvature(shard, group, ggn).dense()


def refuses_empty(shard: Problem, group: Any) -> Tensor:
    if shard.num_samples == 0:
        raise NotImplementedError("no data on this rank")
    return sharded_curvature(shard, group, ggn).dense()


FAILURES = {
    "stays away": (
        BANK["P285"].make(),
        "error",
        r"2 ranks with 6 and 0 samples \(process 0 and 1\): rank 0: RankError: rank 0 of 2: .* was given up .*; rank 1 ret",
    ),
    "hangs": (on_ranks(hanging), "error", r"2 ranks with 6 and 0 .*: rank 1: stopped after .* in hanging\); rank 0 returned"),
    "raises": (on_ranks(first_raises), "error", r"1 rank with 6 .*: rank 0: ValueError: no such layer .* in first_raises\)"),
    "ends": (on_ranks(last_ends), "error", r"process 1: the process ended with exit code 3, without a word; process .* waited"),
    "refuses": (
        on_ranks(refuses_empty),
        "unsupported",
        r"2 ranks with 6 and 0 .*: rank 1: NotImplementedError: no data on this rank .*; rank 0 waited for it in a collective",
    ),
    "returns another shape": (on_ranks(lambda shard, group: torch.eye(2)), "error", r"1 rank with 6 .*: MalformedMatrix: "),
}


@pytest.mark.parametrize("what", FAILURES)
def test_ranks_that_fail_are_told_with_what_the_others_did(what: str) -> None:
    subject, verdict, reason = FAILURES[what]
    found = record(subject)
    assert found.verdict == verdict
    assert re.search(reason, found.reason, re.DOTALL), found.reason


def test_a_subject_whose_ranks_were_stopped_three_times_is_not_waited_for_again() -> None:
    subject = BANK["P285"].make()
    executor = Executor(subject, Options(limit=0.2), explain=False)
    names = ("linear-regression", "softmax-regression", PROBLEM, "masked-labels")
    reasons = [executor.run(Check(CLAIM, name)).reason for name in names]
    assert all("was given up" in reason for reason in reasons[:3])
    assert reasons[3] == f"not tried: its ranks were stopped on {', '.join(names[:3])}"
    assert executor.run(Check("T1", PROBLEM)).verdict == "holds"


def test_where_no_ranks_can_be_started_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "why_no_ranks", lambda: "this platform cannot fork a process")
    found = record(sharded_subjects()[0])
    assert found.verdict == "not-claimed"
    assert "this platform cannot fork a process" in found.reason
