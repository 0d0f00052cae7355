"""Runs the blocks of a Markdown page in order, as a reader would, in a folder of its own."""

import contextlib
import doctest
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fishergauge.reports.cli import main
from fishergauge.reports.fenced_blocks import Block, absent, command_lines, fenced, file_name, patched
from fishergauge.reports.page_commands import NotRun

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXIT_CODES = ((r"\d (violated|unexpected|error)\b", 1), (r"^vacuous ", 3))  # by the output that a page shows


def copy_examples(root: Path, folder: Path) -> None:
    """Put the repository's ``examples`` into a folder; an installed package has none.

    Args:
        root: of the repository.
        folder: which pages take for the root.
    """
    if (root / "examples").is_dir():
        shutil.copytree(root / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))


def forget_subjects() -> None:
    """Let go of the files that subjects were loaded from: another page has others of the same name."""
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_")]:
        del sys.modules[name]


def run_command(command: str, options: str = "") -> int:
    """Run a command of a page.

    Args:
        command: ``fishergauge ...``, in this process, or ``pytest ...``, in one of its own.
        options: appended, to make it short.

    Returns:
        Its exit code.

    Raises:
        ValueError: another program.
    """
    program, *arguments = shlex.split(f"{command} {options}")
    if program == "pytest":
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            timeout=300,
            capture_output=True,
            text=True,
        )
        print(ran.stdout, ran.stderr, flush=True)
        return ran.returncode
    if program != "fishergauge":
        raise ValueError(f"{program} is not run by tests: say why, in the table of commands")
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


class Page:
    """A page on its way: files written, names defined, and the output of the last commands.

    Args:
        text: of the page.
        options: of commands, to make them short, or a ``NotRun`` for those that are not run.
        elsewhere: files whose blocks are only compiled, with the test that runs them.
    """

    def __init__(self, text: str, options: Mapping[str, str], elsewhere: Mapping[str, str] | None = None) -> None:
        self.blocks = fenced(text)
        self.options = options
        self.elsewhere = elsewhere or {}
        self.names: dict[str, Any] = {"__name__": "page"}
        self.faults: list[str] = []
        self.used: set[str] = set()
        self.output: str | None = None
        self.code = 0

    def run(self) -> list[str]:
        """Run all blocks in the current folder; returns what is wrong, with lines."""
        for place, block in enumerate(self.blocks):
            following = self.blocks[place + 1] if place + 1 < len(self.blocks) else None
            fault = self._run(block, following)
            self.faults += [f"line {block.line}: {fault}"] if fault else []
            if block.language != "sh":
                self.output = None
        return self.faults

    def _run(self, block: Block, following: Block | None) -> str:
        """Run a block; returns what is wrong with it."""
        try:
            if block.language == "python":
                return self._python(block)
            if block.language == "sh":
                shown = following.text if following is not None and following.language in ("text", "console") else ""
                return self._commands(block, shown)
            if block.language in ("text", "console"):
                return self._shown(block)
            if block.language == "diff":
                name, _, difference = block.text.removeprefix("+++ ").partition("\n")
                Path(name).write_text(patched(Path(name).read_text(encoding="utf-8"), difference), encoding="utf-8")
                return ""
            return parsed(block)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def _python(self, block: Block) -> str:
        """Write a file, run examples, or execute a block."""
        name = file_name(block.text)
        if name is not None:
            compile(block.text, name, "exec")
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(block.text, encoding="utf-8")
            if name in self.elsewhere or self._named_later(name, block):
                return ""
        if re.search(r"^>>> ", block.text, flags=re.MULTILINE):
            return self._examples(block)
        exec(compile(block.text, f"line {block.line}", "exec"), self.names if name is None else {"__name__": "page"})
        return ""

    def _named_later(self, name: str, block: Block) -> bool:
        """Whether a command of the page runs a file."""
        after = self.blocks[self.blocks.index(block) + 1 :]
        return any(name in other.text for other in after if other.language == "sh")

    def _examples(self, block: Block) -> str:
        """Run the examples of a block, with the names of earlier ones."""
        example = doctest.DocTestParser().get_doctest(block.text, self.names, "page", None, block.line)
        said = io.StringIO()
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(example, out=said.write, clear_globs=False)
        self.names.update(example.globs)
        return said.getvalue()

    def _commands(self, block: Block, shown: str) -> str:
        """Run commands; the last one may end as the output that the page shows says."""
        self.output, wrong = "", []
        lines = command_lines(block.text)
        for place, command in enumerate(lines, 1):
            options = self.options.get(command, "")
            self.used.add(command)
            if isinstance(options, NotRun):
                continue
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = run_command(command, options)
            self.output += said.getvalue()
            wanted = expected_code(shown) if place == len(lines) else 0
            if code != wanted:
                wrong.append(f"{command}: exit code {code}, not {wanted}\n{said.getvalue()}")
        return "\n".join(wrong)

    def _shown(self, block: Block) -> str:
        """Compare an output with the real one."""
        if self.output is None:
            return "an output follows the commands that print it"
        lines = absent(block.text, self.output)
        return "" if not lines else "not in the real output:\n" + "\n".join(lines) + f"\nwhich is:\n{self.output}"


def expected_code(shown: str) -> int:
    """The exit code of a command by the output that the page shows; 0 where it shows none."""
    return next((code for pattern, code in EXIT_CODES if re.search(pattern, shown, flags=re.MULTILINE)), 0)


def parsed(block: Block) -> str:
    """Parse a block of data; returns what is wrong with it."""
    if block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "json":
        json.loads(block.text)
    else:
        import yaml

        yaml.safe_load(block.text)
    return ""
