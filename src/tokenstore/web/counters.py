"""What is counted, in the form of Prometheus: of one process, or of all where PROMETHEUS_MULTIPROC_DIR names a folder.

Labels hold what the operator configured and words of ours, never what a request says. Prometheus' own library reads
the variable, when it is first imported; `deploy/gunicorn.conf.py` sets it.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 26)


class Counters:
    """The `Metrics` port, requests besides, and the page of it all. Thread-safe."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "tokenstore_requests",
            "Requests answered, by route as the application writes it.",
            ["route", "method", "status"],
            registry=registry,
        )
        self._hand_outs = Counter(
            "tokenstore_hand_outs",
            "Access tokens given to callers; cached: without a refresh.",
            ["provider", "cached"],
            registry=registry,
        )
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

    def requested(self, route: str, method: str, status: str) -> None:
        """A request was answered."""
        self._requests.labels(route, method, status).inc()

    def handed_out(self, provider_id: str, *, cached: bool) -> None:
        """An access token was given to a caller."""
        self._hand_outs.labels(provider_id, "true" if cached else "false").inc()

    def waited(self, provider_id: str, seconds: float) -> None:
        """A caller waited for a refresh."""
        self._waits.labels(provider_id).observe(seconds)

    def fence_missed(self, provider_id: str) -> None:
        """A link had moved when tokens of a refresh were to be saved."""
        self._fence_misses.labels(provider_id).inc()

    def link_broken(self, provider_id: str) -> None:
        """A provider ended the grant of a link."""
        self._broken.labels(provider_id).inc()

    def called(self, provider_id: str, call: str, outcome: str, seconds: float) -> None:
        """A provider was called."""
        self._calls.labels(provider_id, call, outcome).observe(seconds)

    def page(self) -> bytes:
        """Everything counted, in the text format of Prometheus."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # of the library
        return generate_latest(together)
