"""Commands on the page name no folder of the machine on which they were given."""

import pytest

from fishergauge.reports.page.neutral_command import neutral_command


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("fishergauge reproduce all --out /home/me/run --quick", "fishergauge reproduce all --out out --quick"),
        ("fishergauge reproduce all --out=/home/me/run", "fishergauge reproduce all --out=out"),
        ("fishergauge reproduce all --out build/results", "fishergauge reproduce all --out out"),
        (r"fishergauge check 'C:\Users\me\my_kfac.py:subject'", "fishergauge check my_kfac.py:subject"),
        (
            "fishergauge check ~me/kfac.py:subject --problem-file /home/me/p.py",
            "fishergauge check kfac.py:subject --problem-file p.py",
        ),
        ("fishergauge check a.py:b --problem-file=/home/me/p.py", "fishergauge check a.py:b --problem-file=p.py"),
        (
            "fishergauge check examples/my_kfac.py:subject --claims 'T4,T26-*'",
            "fishergauge check examples/my_kfac.py:subject --claims 'T4,T26-*'",
        ),
        ("fishergauge check package.module:subject --seed 0", "fishergauge check package.module:subject --seed 0"),
        ("fishergauge report --out '/home/me/no end", "fishergauge report --out out end"),
        ("/usr/bin/fishergauge report --out /", "fishergauge report --out out"),
        ("", ""),
    ],
)
def test_a_command_names_no_folder(given: str, shown: str) -> None:
    assert neutral_command(given) == shown


def test_the_folder_of_the_results_has_the_name_that_is_asked_for() -> None:
    assert neutral_command("fishergauge peers --out /tmp/x/peers", "out/peers") == "fishergauge peers --out out/peers"
