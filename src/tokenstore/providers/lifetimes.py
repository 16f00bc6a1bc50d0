"""Times in answers: lifetimes in seconds and Retry-After, whatever form a provider gives them."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from tokenstore.providers.messages import Response

_DIGITS = re.compile(r"[0-9]{1,12}")
_LONGEST = timedelta(days=36525)
_LONGEST_WAIT = timedelta(hours=1)


def lifetime(value: object) -> timedelta | None:
    """A lifetime of whole seconds, given as a number or as digits; None for anything else.

    Null, booleans, lists, negative numbers, zero, fractions of a second below one, infinity and more than a hundred
    years are no lifetimes.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= _LONGEST.total_seconds():
        return None
    return timedelta(seconds=math.floor(value))


def with_allowance(life: timedelta) -> timedelta:
    """A lifetime less what clocks and travelling may cost: 30 seconds, or a tenth of short ones."""
    return life - min(timedelta(seconds=30), life / 10)


def retry_after(response: Response) -> timedelta | None:
    """How long the provider asks us to wait, at most an hour (RFC 9110 section 10.2.3); None if it does not say.

    A date is compared with the provider's own `Date`, so that no clock of ours matters.
    """
    value = response.retry_after
    if value is None:
        return None
    if _DIGITS.fullmatch(value):
        return min(timedelta(seconds=int(value)), _LONGEST_WAIT)
    until, sent = http_date(value), http_date(response.date)
    if until is None or sent is None:
        return None
    return min(max(until - sent, timedelta()), _LONGEST_WAIT)


def http_date(text: str | None) -> datetime | None:
    """The instant of a `Date` header (RFC 9110 section 5.6.7); None if there is none."""
    try:
        parsed = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else None
