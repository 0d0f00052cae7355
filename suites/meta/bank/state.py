"""Subjects with a memory that they should not have."""

from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem, ggn
from fishergauge.suites.meta.bank.defect import ALL, ANY, Declaration, Defect, Family, planted, unmatched
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.ways import scaled
from fishergauge.suites.subject import Subject

GGN = Declaration(target="ggn")
KRONECKER = Declaration(structure="kronecker", bias="joint")


class Growing:
    """Damping added in place at each product."""

    def __init__(self, problem: Problem) -> None:
        self.matrix = ggn(problem).dense()
        self.shape = self.matrix.shape

    def __matmul__(self, vectors: Tensor) -> Tensor:
        self.matrix.diagonal().add_(1e-3)
        return self.matrix @ vectors


def accumulating() -> Any:
    """Factors added to those of the call before, without a reset."""
    kept: dict[tuple[str, int, torch.dtype], Tensor] = {}
    subject = Subject("right", lambda problem: None, structure="kronecker", bias="joint")

    def build(problem: Problem) -> Tensor:
        key = (problem.name, problem.num_parameters, problem.dtype)
        kept[key] = kept.get(key, torch.zeros((), dtype=problem.dtype)) + Pieces(problem).right(subject)
        return kept[key].clone()

    return build


def averaging() -> Any:
    """A running average over calls."""
    kept: dict[tuple[str, int, torch.dtype], Tensor] = {}

    def build(problem: Problem) -> Tensor:
        key, matrix = (problem.name, problem.num_parameters, problem.dtype), ggn(problem).dense()
        kept[key] = 0.95 * kept[key] + 0.05 * matrix if key in kept else matrix
        return kept[key].clone()

    return build


def kept_by_name() -> Any:
    """The first matrix of each name, also at other parameters or data."""
    kept: dict[tuple[str, int, torch.dtype], Tensor] = {}

    def build(problem: Problem) -> Tensor:
        key = (problem.name, problem.num_parameters, problem.dtype)
        if key not in kept:
            kept[key] = ggn(problem).dense()
        return kept[key].clone()

    return build


def reused_buffer() -> Any:
    """One buffer for all results of a size: the next call changes what the last one returned."""
    buffers: dict[tuple[int, torch.dtype], Tensor] = {}

    def build(problem: Problem) -> Tensor:
        buffer = buffers.setdefault((problem.num_parameters, problem.dtype), torch.zeros_like(ggn(problem).dense()))
        return buffer.add_(ggn(problem).dense())

    return build


def drifting() -> Any:
    """A little larger with each call."""
    calls = [0]

    def build(problem: Problem) -> Tensor:
        calls[0] += 1
        return (1 + 1e-6 * calls[0]) * ggn(problem).dense()

    return build


STATE: tuple[Defect, ...] = (
    unmatched(
        "D38",
        "damping added in place, so that it grows with each product",
        "f-dangel/curvlinops#156",
        lambda: Growing,
        GGN,
        sees=("T1", "T15", "T18", "T26-linear", "T26-sum-over-mean"),
    ),
    planted(
        "D39",
        "factors accumulated twice",
        "aleximmer/Laplace#146",
        scaled(lambda p: 2.0),
        Family(ANY, ALL),
        KRONECKER,
        make_build=accumulating,
        sees=("T2", "T26-batches", "T26-duplicated", "T26-repeatable", "T26-sum-over-mean"),
    ),
    unmatched(
        "P180",
        "a running average over calls",
        "likely",
        averaging,
        GGN,
        sees=("T26-order", "T26-outputs", "T26-repeatable", "T26-sum-over-mean", "T26-units"),
    ),
    unmatched(
        "P181",
        "the first matrix of each name kept, whatever the parameters are now",
        "likely",
        kept_by_name,
        GGN,
        sees=("T13", "T26-additive", "T26-outputs", "T26-sum-over-mean", "T26-units"),
    ),
    unmatched(
        "P182",
        "one buffer for all results, not zeroed",
        "likely",
        reused_buffer,
        GGN,
        sees=("T2", "T26-batches", "T26-duplicated", "T26-repeatable", "T26-sum-over-mean"),
    ),
    unmatched(
        "P183",
        "a little larger with each call",
        "likely",
        drifting,
        GGN,
        sees=("T1", "T2", "T26-duplicated", "T26-repeatable", "T26-sum-over-mean"),
    ),
)
