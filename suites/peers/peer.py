"""A quantity of a library as a subject, with what its documentation promises."""

from dataclasses import dataclass

from fishergauge.suites.subject import Subject


@dataclass(frozen=True)
class Peer:
    """One quantity of one library under test.

    The adapter behind ``subject.build`` converts documented conventions (scale, order, orientation of factors, biases) to
    the canon, and nothing else; what a library documents as unsupported and refuses becomes ``NotImplementedError``.

    Args:
        library: its name on the package index.
        module: what must be importable; it is imported when the subject is first called, not before.
        subject: what is checked; its name begins with the library's and a slash.
        promise: what the library's documentation says of this quantity, and where, in our words.
        conversion: what the adapter changes to reach the canon; empty for nothing.
    """

    library: str
    module: str
    subject: Subject
    promise: str
    conversion: str = ""

    def __post_init__(self) -> None:
        if not self.subject.name.startswith(f"{self.library}/"):
            raise ValueError(f"the subject {self.subject.name!r} of {self.library} is to be called {self.library}/...")
