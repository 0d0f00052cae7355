"""The directive ``command-line``: every command and its options, from the parser itself."""

import argparse
import importlib
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class CommandLine(SphinxDirective):
    """Sections of the commands of a parser, given as ``module:function``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].partition(":")
        parser: argparse.ArgumentParser = getattr(importlib.import_module(module), name)()
        with _width():
            return [section(command, line, self.state.document) for command, line in commands(parser)]


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """The commands of a parser, with the line that lists them."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            lines = {choice.dest: choice.help or "" for choice in action._choices_actions}
            yield from ((command, lines.get(name, "")) for name, command in action.choices.items())


def section(command: argparse.ArgumentParser, line: str, document: nodes.document) -> nodes.section:
    """The section of a command: usage, description, options by group, epilog."""
    made = nodes.section(ids=[nodes.make_id(command.prog)], names=[nodes.fully_normalize_name(command.prog)])
    document.note_implicit_target(made)
    made += nodes.title(command.prog, "", nodes.literal(command.prog, command.prog))
    made += [nodes.paragraph(text, text) for text in (command.description or f"{line.capitalize()}.").split("\n") if text]
    usage = textwrap.dedent(command.format_usage().replace("usage: ", " " * len("usage: "), 1))
    made += nodes.literal_block(usage, usage, language="text")
    for group in command._action_groups:
        rows = [(_name(action), action) for action in group._group_actions if action.help is not argparse.SUPPRESS]
        if rows:
            made += nodes.rubric("", group.title or "")
            made += nodes.definition_list("", *[_entry(name, _help(command, action)) for name, action in rows])
    if command.epilog:
        made += nodes.literal_block(command.epilog, command.epilog, language="text")
    return made


def _name(action: argparse.Action) -> str:
    """How an argument is written."""
    value = action.metavar or (("{" + ",".join(map(str, action.choices)) + "}") if action.choices else action.dest.upper())
    written = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return written
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {written}")


def _help(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    """What an argument does, with its default filled in."""
    return command._get_formatter()._expand_help(action) if action.help else ""


def _entry(name: str, text: str) -> nodes.definition_list_item:
    term = nodes.term("", "", nodes.literal(name, name))
    return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph(text, text)))


@contextmanager
def _width(columns: str = "100") -> Iterator[None]:
    """A terminal of a width that does not depend on where the site is built."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = columns
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def setup(app: Any) -> dict[str, bool]:
    """Add the directive to Sphinx."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
