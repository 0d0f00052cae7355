"""The fenced blocks of a Markdown page, for the tests that execute or check them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

LANGUAGES = ("python", "sh", "text", "console", "diff", "toml", "yaml", "json")
DIRECTIVE = re.compile(r"\{[\w-]+\}")
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=ticks)`*[ ]*$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        language: what its fence says.
        text: between the fences.
        line: of its first fence, from 1.
    """

    language: str
    text: str
    line: int


def fenced(page: str) -> list[Block]:
    """The blocks of a page in order; directives of the site (``{toctree}`` and the like) are none.

    Args:
        page: in Markdown.

    Raises:
        ValueError: a block has no language, or one that no test knows how to check.

    Example:
        >>> fenced("One command:\\n\\n```sh\\nls\\n```\\n")
        [Block(language='sh', text='ls\\n', line=3)]
    """
    found = []
    for match in FENCE.finditer(page):
        language, line = match["info"].strip(), page.count("\n", 0, match.start()) + 1
        if DIRECTIVE.match(language):
            continue
        if language not in LANGUAGES:
            raise ValueError(f"line {line}: a block is one of {', '.join(LANGUAGES)}, not {language or 'without a language'}")
        found.append(Block(language, match["text"], line))
    return found


def blocks(page: str, language: str) -> list[str]:
    """The texts of the blocks of a language."""
    return [block.text for block in fenced(page) if block.language == language]


def file_name(block: str) -> str | None:
    """The name of the file that a block of Python is meant for: its first line, a comment, says so."""
    named = re.match(r"# ([\w/]+\.py)\n", block)
    return named[1] if named else None


def command_lines(block: str) -> list[str]:
    """The commands of a shell block; lines that end with a backslash go on."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def patched(text: str, difference: str) -> str:
    """A file after a block of differences: lines with a minus are replaced by those with a plus, wherever they stand.

    Args:
        text: of the file.
        difference: lines that begin with a blank, a minus or a plus; ``@@`` begins another place.

    Raises:
        ValueError: the lines to replace do not stand in the file, or more than once.
    """
    for place in re.split(r"^@@.*\n", difference, flags=re.MULTILINE):
        lines = [line or " " for line in place.splitlines()]
        before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        found = f"\n{text}".count(f"\n{before}")
        if found != 1:
            raise ValueError(f"these lines stand {found} times in the file:\n{before}")
        text = f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:]
    return text


def comparable(line: str) -> str:
    """A line of output without what differs between machines: times, roundings, and the problem on which slack is largest."""
    line = re.sub(r"^(\S+(?: \S+)? +\d[\d .]*?)  +\d+\.\d\d(?: .*)?$", r"\1", line)
    line = re.sub(r"(?<![\w.])\d+(\.\d+)?(e[+-]?\d+)?(?=\s|[;,)]|$)", lambda m: "#" if m[1] or m[2] else m[0], line)
    return " ".join(line.split())


def absent(shown: str, real: str) -> list[str]:
    """The lines of an output as a page shows it that the real one lacks; empty if they agree.

    Args:
        shown: a line ``...`` stands for any number of lines; without it lines follow each other.
        real: of the command.
    """
    left = [line for line in map(comparable, real.splitlines()) if line]
    for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE):
        wanted = [line for line in map(comparable, part.splitlines()) if line]
        at = _position(wanted, left)
        if at is None:
            return [line for line in wanted if line not in left] or wanted
        left = left[at + len(wanted) :]
    return []


def _position(wanted: Sequence[str], lines: Sequence[str]) -> int | None:
    """Where some lines follow each other."""
    places = range(len(lines) - len(wanted) + 1)
    return next((at for at in places if list(lines[at : at + len(wanted)]) == list(wanted)), None)
