"""A command line without the folders of the machine on which it was given."""

import re
import shlex
from collections.abc import Iterator, Sequence

_ABSOLUTE = re.compile(r"^(?:/|~|[A-Za-z]:[\\/]|\\\\)")
_FOLDERS = ("--out",)


def neutral_command(command: str, folder: str = "out") -> str:
    """A command that says what was run, not where: the folder of the results by a neutral name, other paths by their last part.

    Args:
        command: as it was given.
        folder: what the folder of the results is called.

    Returns:
        The command, which works from the folder that holds ``out``.

    Example:
        >>> neutral_command("fishergauge peers --out /home/me/run/peers --quick", "out/peers")
        'fishergauge peers --out out/peers --quick'
        >>> neutral_command("fishergauge check /home/me/my_kfac.py:subject --claims 'T4,T26-*'")
        "fishergauge check my_kfac.py:subject --claims 'T4,T26-*'"
    """
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation without an end
        words = command.split()
    return shlex.join(_neutral(words, folder))


def _neutral(words: Sequence[str], folder: str) -> Iterator[str]:
    last = ""
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if last in _FOLDERS or (equals and option in _FOLDERS):
            value = folder
        elif _ABSOLUTE.match(value):
            value = re.split(r"[\\/]", value.rstrip("\\/"))[-1] or folder
        last = word
        yield f"{option}{equals}{value}"
