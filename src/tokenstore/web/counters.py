"""What is counted, in the form of Prometheus: of one process, or of all where PROMETHEUS_MULTIPROC_DIR names a folder.

Labels hold what the operator configured and words of ours, never what a request says. Prometheus' own library reads
the variable, when it is first imported; `deploy/gunicorn.conf.py` sets it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from typing_extensions import override

from tokenstore.web.backed import use_backed_files

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 26)
_REVOCATIONS, _ANSWERS = "Tokens that are still to be revoked", "Answers that wait on this machine for the database"
_DEPTHS = {
    "tokenstore_outbox_entries": f"{_REVOCATIONS}.",
    "tokenstore_outbox_oldest_seconds": f"{_REVOCATIONS}: how long the oldest has waited.",
    "tokenstore_spool_entries": f"{_ANSWERS}.",
    "tokenstore_spool_oldest_seconds": f"{_ANSWERS}: how long the oldest has waited.",
}

P = ParamSpec("P")

log = logging.getLogger(__name__)


class _Children(dict[tuple[str, ...], Counter]):
    """A counter by its labels. The library's own way converts and locks, and nearly every request counts twice."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __missing__(self, labels: tuple[str, ...]) -> Counter:
        child = self[labels] = self._counter.labels(*labels)
        return child


class _Depths(dict[str, Gauge]):
    """The gauges of what all processes see alike: the one that looked last is believed.

    Made one by one, as one without labels needs its place in the folder at once, and there may be none.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._registry = registry

    def __missing__(self, name: str) -> Gauge:
        gauge = Gauge(name, _DEPTHS[name], registry=self._registry, multiprocess_mode="livemostrecent")
        self[name] = gauge
        return gauge


def _harmless(count: Callable[Concatenate[Counters, P], None]) -> Callable[Concatenate[Counters, P], None]:
    """A method that does nothing where the folder takes nothing, as on a full disk: no work fails because of it."""

    @wraps(count)
    def counted(self: Counters, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            count(self, *args, **kwargs)
        except OSError as error:
            self.cannot_count(error)

    return counted


class Counters:
    """The `Metrics` port, requests besides, and the page of it all. Thread-safe."""

    def __init__(self) -> None:
        use_backed_files()
        self._registry = registry = CollectorRegistry()
        self._complained = False
        requests = Counter(
            "tokenstore_requests",
            "Requests answered, by route as the application writes it.",
            ["route", "method", "status"],
            registry=registry,
        )
        hand_outs = Counter(
            "tokenstore_hand_outs",
            "Access tokens given to callers; cached: without a refresh.",
            ["provider", "cached"],
            registry=registry,
        )
        self._requests, self._hand_outs = _Children(requests), _Children(hand_outs)
        self._calls = Histogram(
            "tokenstore_provider_call_seconds",
            "Calls to providers: how long they took and what came of them.",
            ["provider", "call", "outcome"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._waits = Histogram(
            "tokenstore_refresh_wait_seconds",
            "How long callers waited for a refresh.",
            ["provider"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._fence_misses = Counter(
            "tokenstore_fence_misses",
            "Refreshes whose link had moved when their tokens were to be saved.",
            ["provider"],
            registry=registry,
        )
        self._broken = Counter(
            "tokenstore_link_broken", "Links whose grant a provider ended.", ["provider"], registry=registry
        )
        self._lost = Counter(
            "tokenstore_link_lost",
            "Links that broke although their refresh token may only have been spent without an answer being kept.",
            ["provider", "reason"],
            registry=registry,
        )
        self._quarantines = Counter(
            "tokenstore_quarantines",
            "Times a provider refused too many links at once and was put into quarantine.",
            ["provider"],
            registry=registry,
        )
        # Over the processes that live: open in one of them is open; what is under way adds up.
        self._breakers = Gauge(
            "tokenstore_breaker_open",
            "Whether a provider is left alone because it does not answer or refuses the store: 1, else 0.",
            ["provider"],
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._flying = Gauge(
            "tokenstore_refreshes_under_way",
            "Refreshes under way.",
            ["provider"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._parked = Gauge(
            "tokenstore_callers_waiting",
            "Callers that wait for a refresh.",
            ["provider"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._turned_away = Counter(
            "tokenstore_refreshes_turned_away",
            "Refreshes that were not begun because too many were under way.",
            ["provider"],
            registry=registry,
        )
        self._looks = Counter(
            "tokenstore_keeper_links",
            "Links that were due and what came of it: refreshed, later, moved, replayed or failed.",
            ["provider", "outcome"],
            registry=registry,
        )
        self._chores = Counter(
            "tokenstore_keeper_runs", "Runs of the keeper's chores.", ["chore", "outcome"], registry=registry
        )
        self._purged = Counter(
            "tokenstore_keeper_purged", "What was removed because it had had its time.", ["kind"], registry=registry
        )
        self._depths = _Depths(registry)
        self._make_depths()

    @_harmless
    def requested(self, route: str, method: str, status: str) -> None:
        """A request was answered."""
        self._requests[route, method, status].inc()

    @_harmless
    def handed_out(self, provider_id: str, *, cached: bool) -> None:
        """An access token was given to a caller."""
        self._hand_outs[provider_id, "true" if cached else "false"].inc()

    @_harmless
    def waited(self, provider_id: str, seconds: float) -> None:
        """A caller waited for a refresh."""
        self._waits.labels(provider_id).observe(seconds)

    @_harmless
    def fence_missed(self, provider_id: str) -> None:
        """A link had moved when tokens of a refresh were to be saved."""
        self._fence_misses.labels(provider_id).inc()

    @_harmless
    def link_broken(self, provider_id: str) -> None:
        """A provider ended the grant of a link."""
        self._broken.labels(provider_id).inc()

    @_harmless
    def link_lost(self, provider_id: str, reason: str) -> None:
        """A link broke in doubt."""
        self._lost.labels(provider_id, reason).inc()

    @_harmless
    def quarantined(self, provider_id: str) -> None:
        """A provider went into quarantine."""
        self._quarantines.labels(provider_id).inc()

    @_harmless
    def breaker(self, provider_id: str, *, is_open: bool) -> None:
        """A breaker opened or closed."""
        self._breakers.labels(provider_id).set(1 if is_open else 0)

    @_harmless
    def flying(self, provider_id: str, flights: int) -> None:
        """So many refreshes are under way."""
        self._flying.labels(provider_id).set(flights)

    @_harmless
    def parked(self, provider_id: str, callers: int) -> None:
        """So many callers wait."""
        self._parked.labels(provider_id).set(callers)

    @_harmless
    def turned_away(self, provider_id: str) -> None:
        """A refresh was not begun."""
        self._turned_away.labels(provider_id).inc()

    @_harmless
    def called(self, provider_id: str, call: str, outcome: str, seconds: float) -> None:
        """A provider was called."""
        self._calls.labels(provider_id, call, outcome).observe(seconds)

    @_harmless
    def looked_after(self, provider_id: str, outcome: str) -> None:
        """The keeper looked after a link."""
        self._looks.labels(provider_id, outcome).inc()

    @_harmless
    def chore_ran(self, chore: str, *, failed: bool) -> None:
        """A chore ran."""
        self._chores.labels(chore, "failed" if failed else "done").inc()

    @_harmless
    def purged(self, what: str, count: int) -> None:
        """So much was removed."""
        self._purged.labels(what).inc(count)

    @_harmless
    def outbox_depth(self, entries: int, oldest: float) -> None:
        """So much waits in the outbox."""
        self._set_depth("outbox", entries, oldest)

    @_harmless
    def spool_depth(self, entries: int, oldest: float) -> None:
        """So much waits in the spool."""
        self._set_depth("spool", entries, oldest)

    @_harmless
    def _make_depths(self) -> None:
        for name in _DEPTHS:
            self._depths[name]  # so that they are on the page before anybody looked

    def _set_depth(self, place: str, entries: int, oldest: float) -> None:
        self._depths[f"tokenstore_{place}_entries"].set(entries)
        self._depths[f"tokenstore_{place}_oldest_seconds"].set(oldest)

    def cannot_count(self, error: OSError) -> None:
        """Say once that something could not be counted."""
        if not self._complained:
            self._complained = True
            log.error("nothing new can be counted for /metrics: %s", error.strerror)

    def page(self) -> bytes:
        """Everything counted, in the text format of Prometheus."""
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        return generate_latest(self._registry if folder is None else _Together(Path(folder)))


class _Together(CollectorRegistry):
    """What all processes have counted. A file that got no room on the disk is empty, and left out."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @override
    def collect(self) -> Iterable[Metric]:
        files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
        found: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # of the library
        return found
