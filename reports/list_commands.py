"""``fishergauge subjects``, ``claims``, ``problems`` and ``explain``: what there is to check, and against what."""

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import SUBJECT_HELP
from fishergauge.reports.usage import UsageError, answer, nearest
from fishergauge.suites.wording import plural, title, wrapped

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from fishergauge.suites.claim import Claim, Scope
    from fishergauge.suites.subject import Subject


def add_parsers(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the four commands to the command line."""
    parser = commands.add_parser("subjects", help="list the subjects that installed packages register")
    parser.set_defaults(run=lambda options: answer(subjects))
    parser = commands.add_parser("claims", help="list the claims: statement, source, to whom they apply")
    parser.add_argument("--subject", metavar="SUBJECT", help=f"only those that this subject makes: {SUBJECT_HELP}")
    parser.set_defaults(run=claims)
    parser = commands.add_parser("problems", help="list the problems: size, tags, what they are")
    parser.set_defaults(run=lambda options: answer(problems))
    parser = commands.add_parser("explain", help="explain a claim: statement, conditions, bound, what must fail")
    parser.add_argument("claim", metavar="CLAIM", help="id or name, as 'fishergauge claims' lists them")
    parser.set_defaults(run=lambda options: answer(lambda: explain(options.claim)))


def subjects() -> int:
    """Print the registered subjects; those that cannot be loaded with their error."""
    from fishergauge.suites.loading import GROUP, installed_subjects
    from fishergauge.suites.subject import SubjectError

    found = installed_subjects()
    for name, (point, subject) in found.items():
        if isinstance(subject, SubjectError):
            _print(f"{name}  {point.value}", f"cannot be loaded: {subject}")
        else:
            _print(f"{name}  {point.value}", declared(subject))
    if not found:
        print(f"no installed package registers a subject under the entry-point group {GROUP!r}")
    return 0


def declared(subject: "Subject") -> str:
    """What a subject declares about itself, in one line."""
    parts = [f"target {subject.target}", f"structure {subject.structure}"]
    if subject.samples is not None:
        parts.append(plural(subject.samples, "sample"))
    if subject.bias is not None:
        parts.append(f"bias {subject.bias}")
    if subject.sharing != "expand":
        parts.append(f"sharing {subject.sharing}")
    return ", ".join(parts)


def claims(options: argparse.Namespace) -> int:
    """Print all claims, or those that a subject makes."""
    from fishergauge.suites.subject import SubjectError

    return answer(lambda: _claims(options.subject), (SubjectError,))


def _claims(text: str | None) -> int:
    from fishergauge.suites.claims import CLAIMS
    from fishergauge.suites.loading import load_subject

    subject = load_subject(text) if text is not None else None
    if subject is not None:
        print(f"{subject.name}: {declared(subject)}\n")
    shown = [claim for claim in CLAIMS.values() if subject is None or claim.made_by(subject)]
    for claim in shown:
        _print(title(claim.id, CLAIMS), claim.statement, f"source: {claim.source}", f"subjects: {scope(claim.scope)}")
    if subject is not None:
        informing = [claim.id for claim in CLAIMS.values() if claim.measured_for(subject) and not claim.made_by(subject)]
        print(f"measured, not claimed: {', '.join(informing) or 'nothing'}")
    print(plural(len(shown), "claim"))
    return 0


def problems() -> int:
    """Print the problems of the catalogue with their size and tags."""
    from fishergauge.suites.tags import tags_of
    from fishergauge.suites.zoo import CATALOGUE, ZOO_VERSION

    for name, entry in CATALOGUE.items():
        problem = entry.build()
        size = f"N = {len(problem.inputs)}, P = {problem.num_parameters}" + (", quick" if entry.quick else "")
        _print(f"{name}  ({size})", entry.summary, f"tags: {', '.join(sorted(tags_of(problem)))}")
    print(f"{plural(len(CATALOGUE), 'problem')}, version {ZOO_VERSION} of the catalogue")
    return 0


def explain(name: str) -> int:
    """Print all that is known of a claim.

    Raises:
        UsageError: there is no such claim.
    """
    from fishergauge.suites.claims import CLAIMS

    meant = [claim for claim in CLAIMS.values() if name in (claim.id, claim.name)]
    meant = meant or [claim for claim in CLAIMS.values() if claim.matches(name) or claim.id.lower() == name.lower()]
    if not meant:
        known = [text for claim in CLAIMS.values() for text in (claim.id, claim.name)]
        raise UsageError(f"there is no claim {name!r}{nearest(name, known)} (fishergauge claims lists them)")
    print("\n\n".join(_explanation(claim) for claim in meant))
    return 0


def _explanation(claim: "Claim") -> str:
    """The text about one claim."""
    from fishergauge.suites.tags import TAGS, tags_of
    from fishergauge.suites.zoo import CATALOGUE

    conditions = [TAGS.get(tag, tag) for tag in sorted(claim.requires)]
    conditions += [f"not: {TAGS.get(tag, tag)}" for tag in sorted(claim.excludes)]
    tags = {name: tags_of(entry.build()) for name, entry in CATALOGUE.items()}
    names = [name for name in tags if claim.requires <= tags[name] and not claim.excludes & tags[name]]
    rows = {
        "statement": claim.statement,
        "source": claim.source,
        "subjects": scope(claim.scope),
        "informs": scope(claim.informs) + " (measured, not claimed)" if claim.informs is not None else "",
        "problems": "; ".join(conditions) or "all",
        "bound": claim.bound,
        "must fail": claim.control,
        "examined on": f"{plural(len(names), 'problem')} of {len(CATALOGUE)}: {', '.join(names)}",
        "catches": ", ".join(_caught(claim)),
    }
    lines = [title(claim.id, {claim.id: claim})]
    for label, text in rows.items():
        if text:
            lines += wrapped(text, first=f"  {label:<13}", rest=" " * 15)
    return "\n".join(lines)


def _caught(claim: "Claim") -> list[str]:
    """The planted defects that the claim is expected to see."""
    from fishergauge.suites.meta.bank import BANK

    return [str(defect) for defect in BANK.values() if claim.id in defect.sees]


def scope(of: "Scope") -> str:
    """Which subjects make a claim, in words."""
    from fishergauge.suites.claim import STRUCTURES, TARGETS

    parts = [_among("target", of.targets, TARGETS), _among("structure", of.structures, STRUCTURES)]
    if of.drawn is not None:
        parts.append("Monte-Carlo estimators" if of.drawn else "no Monte-Carlo estimators")
    parts.append(_among("bias", [name or "not declared" for name in of.bias], ("joint", "separate", "not declared")))
    parts.append(_among("sharing", of.sharing, ("expand", "reduce")))
    parts += ["with solve"] if of.solve else []
    parts += ["only where the subject names it among its claims"] if of.opt_in else []
    return "; ".join(part for part in parts if part) or "all"


def _among(what: str, chosen: Iterable[str], possible: Sequence[str]) -> str:
    names = list(chosen)
    return "" if set(names) >= set(possible) else f"{what} {' or '.join(names)}"


def _print(title: str, *lines: str) -> None:
    """A title with indented lines below it."""
    print(title)
    for line in lines:
        print("\n".join(wrapped(line, first="  ", rest="    ")))
