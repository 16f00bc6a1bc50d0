"""What the short forms of the chaos batteries share."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.trials import Trial


def without_deviation(trial: Trial, numbers: Iterable[int]) -> None:
    """Make the trials of these numbers; fail if anything was not as it has to be."""
    deviations = {number: trial(number).deviations for number in numbers}
    assert deviations == dict.fromkeys(deviations, ())
