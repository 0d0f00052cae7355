"""The command line: ``fishergauge report``, ``check`` and their companions."""

import argparse
import os
import sys
from collections.abc import Sequence

from fishergauge.reports import (
    accept_command,
    accuracy_command,
    bench_command,
    check_command,
    compare_command,
    conformance_command,
    list_commands,
    peers_command,
    probe_command,
    report_command,
    reproduce_command,
    selftest_command,
    spectrum_command,
)
from fishergauge.reports.code_version import package_version
from fishergauge.reports.sweep import merge_command


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    root = argparse.ArgumentParser(prog="fishergauge", description="Verify Fisher and generalised Gauss-Newton approximations.")
    root.add_argument("--version", action="version", version=f"fishergauge {package_version()}")
    commands = root.add_subparsers(dest="command", required=True)
    check_command.add_parser(commands)
    probe_command.add_parser(commands)
    compare_command.add_parser(commands)
    accept_command.add_parser(commands)
    list_commands.add_parsers(commands)
    selftest_command.add_parser(commands)
    spectrum_command.add_parser(commands)
    bench_command.add_parser(commands)
    peers_command.add_parser(commands)
    conformance_command.add_parser(commands)
    accuracy_command.add_parser(commands)
    report_command.add_parser(commands)
    reproduce_command.add_parser(commands)
    merge_command.add_parser(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        0 if all went well, 1 if something failed, 2 for options that cannot be honoured, 3 if a check was vacuous, 130 if
        interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    options.given = given
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `fishergauge claims | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


if __name__ == "__main__":
    sys.exit(main())
