"""The runs behind a report: which commands fill the folder of the results, and with which arguments."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PARTS = ("conformance", "probes", "paper", "spectrum", "accuracy", "bench", "peers")
"""The parts that something must be run for, in the order in which it is run."""
PROBES = "probes/probes.json"
OF_SUBJECTS = ("conformance", "spectrum", "accuracy", "bench")
"""Those that say something about subjects of the user."""
FEW_PEERS = "backpack/kflr"
PROBED = ("fishergauge.reports.probe_reference:ggn_products", "fishergauge.reports.probe_reference:kfac_products")
LARGE_PROBLEMS = "mlp-1e5,resnet-1e5"
FEW_EXPERIMENTS = ("e1", "e2", "e3", "e4", "vector-field", "posterior", "nonlinear", "course")


@dataclass(frozen=True)
class Asked:
    """What a report is to be made of.

    Args:
        parts: names of :data:`PARTS`.
        subjects: as typed.
        problem_files: with problems of the user.
        quick: fewer seeds, problems and sizes.
        dtype: of the conformance part.
        device: of the parts that can run elsewhere than on the CPU.
        seed: of data, parameters and draws.
        jobs: processes at the same time.
    """

    parts: tuple[str, ...] = PARTS
    subjects: tuple[str, ...] = ()
    problem_files: tuple[Path, ...] = ()
    quick: bool = False
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    jobs: int = 1


@dataclass(frozen=True)
class Stage:
    """One run.

    Args:
        part: of the report that shows it.
        arguments: of the program ``fishergauge``, without the folder of the results.
        folder: of its results, below that of the report; empty for the same.
        artefact: the file, relative to the folder of the report, that is there when it has finished.
        resume: further arguments with which it goes on after an interruption.
        anew: further arguments with which it forgets what it has kept.
        forgotten: files and folders, relative to the folder of the report, in which it keeps what it need not compute again.
        ours: whether nothing of the user's determines its result, so that a finished run need not be repeated.
        found: whether an artefact that another command wrote into the folder is shown as it is: longer runs of their own.
    """

    part: str
    arguments: tuple[str, ...]
    artefact: str
    folder: str = ""
    resume: tuple[str, ...] = ()
    anew: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    ours: bool = True
    found: bool = False


def stages(asked: Asked) -> list[Stage]:
    """The runs of a report, in order.

    Args:
        asked: what it is made of.

    Returns:
        One run for each part, but for large models where they are not probed now (:func:`probes_now`).
    """
    quick = ("--quick",) if asked.quick else ()
    jobs, device = ("--jobs", str(asked.jobs)), ("--device", asked.device)
    subject = ("--subject", *asked.subjects) if asked.subjects else ()
    ours = not asked.subjects
    table = {
        "conformance": Stage("conformance", _conformance(asked), "conformance/subjects.json", anew=("--fresh",), ours=ours),
        "probes": Stage(
            "probes",
            ("probe", *PROBED, "--problems", LARGE_PROBLEMS, "--dtype", asked.dtype, *device, *_seed(asked)),
            PROBES,
            found=True,
        ),
        "paper": Stage(
            "paper", ("reproduce", *_experiments(asked), *quick, *device, *jobs), "claims.json", forgotten=("cells.jsonl",)
        ),
        "spectrum": Stage(
            "spectrum",
            ("spectrum", "--quick", *subject, *_seed(asked), *jobs),
            "spectrum.json",
            anew=("--fresh",),
            ours=ours,
            found=True,
        ),
        "accuracy": Stage(
            "accuracy", ("accuracy", *quick, *subject, *_seed(asked), *jobs), "accuracy/accuracy.json", "accuracy", ours=ours
        ),
        "bench": Stage(
            "bench",
            ("bench", *_bench(asked), *subject, *device),
            "bench/bench.md",
            "bench",
            resume=("--resume",),
            ours=ours,
            found=True,
        ),
        "peers": Stage(
            "peers", ("peers", *_peers(asked), *jobs), "peers/peers.json", "peers", forgotten=("peers/cells.jsonl",), found=True
        ),
    }
    return [
        table[part] for part in PARTS if part in asked.parts and (part != "probes" or probes_now(asked.quick, asked.subjects))
    ]


def probes_now(quick: bool, subjects: Sequence[str]) -> bool:
    """Whether large models are probed by the report itself: only in a full one of the reference alone.

    Others must be quick, or are about subjects of which nobody knows whether they can be that large, and show what
    ``fishergauge probe --out`` left.

    Args:
        quick: whether the report is a quick one.
        subjects: of the user.
    """
    return not (quick or subjects)


def _conformance(asked: Asked) -> tuple[str, ...]:
    """The arguments of the runs of the kit."""
    files = [part for file in asked.problem_files for part in ("--problem-file", str(file))]
    quick = ["--quick"] if asked.quick else []
    place = ["--dtype", asked.dtype, "--device", asked.device, *_seed(asked), "--jobs", str(asked.jobs)]
    return ("conformance", *asked.subjects, *files, *quick, *place)


def _experiments(asked: Asked) -> Sequence[str]:
    """All of them; for a quick report half of them, those of the paper on one data set."""
    return (*FEW_EXPERIMENTS, "--data", "synthetic") if asked.quick else ("all",)


def _seed(asked: Asked) -> Sequence[str]:
    return ("--seed", str(asked.seed)) if asked.seed else ()


def _bench(asked: Asked) -> Sequence[str]:
    """Small sizes, beside BackPACK; a quick report counts and does not time."""
    return ("--quick", "--no-peers", *(("--no-time", "--problems", "softmax-small") if asked.quick else ("--scaling",)))


def _peers(asked: Asked) -> Sequence[str]:
    """BackPACK, which is always there; the other libraries are a run of its own."""
    return ("--only", FEW_PEERS if asked.quick else "backpack", "--quick")
