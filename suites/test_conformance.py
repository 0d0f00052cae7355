"""Conformance: the subjects named by ``--subject`` and ``--subjects``; without them, some correct ones in quick form."""

import pytest

from fishergauge.suites.verification import Suite, checking, given

CLEARED = ("exact-fisher", "fisher-diagonal", "kfac-joint")


def _suites(config: pytest.Config) -> list[Suite]:
    found = given(config)
    if found:
        return found
    from fishergauge.suites.correct import correct_subjects

    return [Suite.of(config, subject, quick=True) for name, subject in correct_subjects().items() if name in CLEARED]


test_conforms = checking(_suites)
