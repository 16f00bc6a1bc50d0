from __future__ import annotations

from datetime import timedelta

import pytest

from tokenstore.providers.lifetimes import lifetime, retry_after, with_allowance
from tokenstore.providers.messages import Response


@pytest.mark.parametrize("value", [3600, "3600", "03600", 3600.0, 3600.9], ids=repr)
def test_an_hour_is_read_however_it_is_written(value: object) -> None:
    assert lifetime(value) == timedelta(hours=1)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, [], [3600], {}, "", "1e3", "-1", "3600s", " 3600", "٣٦٠٠", "9" * 40),
        *(-1, 0, 0.5, -0.0, 1e400, -1e400, float("nan"), 10**30),
    ],
    ids=repr,
)
def test_what_is_no_lifetime_is_none(value: object) -> None:
    assert lifetime(value) is None


@pytest.mark.parametrize(("life", "left"), [(3600, 3570), (300, 270), (100, 90), (10, 9)])
def test_the_allowance_is_thirty_seconds_or_a_tenth(life: int, left: int) -> None:
    assert with_allowance(timedelta(seconds=life)) == timedelta(seconds=left)


@pytest.mark.parametrize(
    ("value", "date", "wait"),
    [
        (None, None, None),
        ("0", None, 0),
        ("120", None, 120),
        ("99999999999", None, 3600),
        ("-5", None, None),
        ("soon", None, None),
        ("Fri, 20 Nov 2026 12:02:00 GMT", "Fri, 20 Nov 2026 12:00:00 GMT", 120),
        ("Fri, 20 Nov 2026 11:00:00 GMT", "Fri, 20 Nov 2026 12:00:00 GMT", 0),
        ("Sat, 21 Nov 2026 12:00:00 GMT", "Fri, 20 Nov 2026 12:00:00 GMT", 3600),
        ("Fri, 20 Nov 2026 12:02:00 GMT", None, None),
        ("Fri, 99 Nov 2026 12:02:00 GMT", "Fri, 20 Nov 2026 12:00:00 GMT", None),
        ("Fri, 20 Nov 2026 12:02:00", "Fri, 20 Nov 2026 12:00:00", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, date: str | None, wait: int | None) -> None:
    found = retry_after(Response(503, retry_after=value, date=date))
    assert found == (None if wait is None else timedelta(seconds=wait))
