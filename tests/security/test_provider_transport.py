"""The transport against servers that mean harm: time, size, redirects, addresses, TLS, and what was sent."""

from __future__ import annotations

import gzip
import logging
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.certificates import Authority
from support.hostile import (
    Conversation,
    HostileServer,
    Script,
    answers,
    as_json,
    deaf,
    drips,
    gzip_bomb,
    http,
    listener,
    resets,
    silent,
    streams,
)
from tokenstore.core.model import ProviderId
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.messages import LARGE, SMALL, MayHaveBeenSent, NotSent, Request
from tokenstore.providers.transport import Timeouts, Transport

IDP = ProviderId("idp")
QUICK = Timeouts(connect=0.6, read=0.5, deadline=1.0)
PATIENCE = 5.0
"""Seconds in which a call must be over on a busy machine; the servers here would hold it for ten and more."""
SECRET = "the-refresh-token"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TWO_LENGTHS = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(AddressPolicy(), timeouts=QUICK)
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def post(url: str, cap: int = SMALL) -> Request:
    return Request("POST", url, body=f"refresh_token={SECRET}".encode(), cap=cap)


def duration_of_failure(transport: Transport, url: str, reason: str = "timeout") -> float:
    started = time.monotonic()
    with pytest.raises(MayHaveBeenSent) as failure:
        transport.send(IDP, post(url))
    assert failure.value.reason == reason
    return time.monotonic() - started


def test_a_silent_server_is_left_after_the_read_timeout() -> None:
    patient = Transport(AddressPolicy(), timeouts=Timeouts(connect=1, read=0.3, deadline=60))
    with HostileServer(silent) as server:
        assert duration_of_failure(patient, server.url) < PATIENCE


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(drips(http(b"x" * 1000)), id="headers"),
        pytest.param(drips(http(b"x" * 1000), at_once=100), id="body"),
        pytest.param(drips(CHUNKED + b"1\r\nx\r\n" * 1000, 60), id="chunks"),
        pytest.param(drips(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), id="informational answers"),
    ],
)
def test_dripping_ends_with_the_deadline(transport: Transport, script: Script) -> None:
    with HostileServer(script) as server:
        assert QUICK.deadline - 0.1 < duration_of_failure(transport, server.url) < PATIENCE


def test_endless_informational_answers_end_with_the_deadline(transport: Transport) -> None:
    with HostileServer(streams(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)) as server:
        assert duration_of_failure(transport, server.url) < PATIENCE


def test_a_handshake_that_never_ends_is_left_with_nothing_sent(authority: Authority) -> None:
    transport = Transport(AddressPolicy(), ca_bundle=str(authority.bundle), timeouts=QUICK)
    started = time.monotonic()
    with HostileServer(deaf) as server, pytest.raises(NotSent) as failure:
        transport.send(IDP, post(server.url.replace("http:", "https:")))
    assert failure.value.reason == "tls"
    assert time.monotonic() - started < PATIENCE


def test_a_slow_resolver_is_left_with_nothing_sent() -> None:
    stuck = threading.Event()

    def resolve(_host: str) -> Sequence[str]:
        stuck.wait(10)
        return ["127.0.0.1"]

    transport = Transport(AddressPolicy(), timeouts=QUICK, resolve=resolve)
    started = time.monotonic()
    with pytest.raises(NotSent) as failure:
        transport.send(IDP, post("https://idp.example/token"))
    stuck.set()
    assert failure.value.reason == "dns"
    assert time.monotonic() - started < PATIENCE


def test_one_dead_address_does_not_hide_a_good_one() -> None:
    policy = AddressPolicy(["idp.example"])
    with HostileServer(answers(http(b"{}"))) as server:
        transport = Transport(policy, timeouts=QUICK, resolve=lambda _: ["::1", "127.0.0.1"])
        assert transport.send(IDP, post(f"http://idp.example:{server.port}/")).status == 200
        transport.close()


def test_a_full_pool_is_left_with_nothing_sent(transport: Transport) -> None:
    with HostileServer(silent) as server:
        failures: list[BaseException] = []

        def call() -> None:
            try:
                transport.send(IDP, post(server.url))
            except (NotSent, MayHaveBeenSent) as exc:
                failures.append(exc)

        threads = [threading.Thread(target=call) for _ in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(failures) == 60
        sent = [failure for failure in failures if isinstance(failure, MayHaveBeenSent)]
        assert len(sent) == len(server.requests) < 60
        assert {failure.reason for failure in failures if isinstance(failure, NotSent)} <= {"busy", "connect"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(transport: Transport, status: int) -> None:
    with listener() as target, HostileServer(answers(http(status=status, location=f"{target.url}/token"))) as server:
        assert transport.send(IDP, post(server.url)).status == status
        assert target.connections == 0


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(streams(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 65536), id="announced"),
        pytest.param(
            streams(CHUNKED, b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
            id="chunked",
        ),
        pytest.param(streams(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 65536), id="until the end"),
    ],
)
@pytest.mark.parametrize("cap", [SMALL, LARGE])
def test_a_body_past_its_cap_ends_the_call_in_little_memory(transport: Transport, script: Script, cap: int) -> None:
    assert memory_until_too_large(transport, script, cap) < 8 * 1024 * 1024


def test_a_gzip_bomb_ends_the_call_in_little_memory(transport: Transport) -> None:
    assert memory_until_too_large(transport, answers(gzip_bomb()), LARGE) < 8 * 1024 * 1024


def memory_until_too_large(transport: Transport, script: Script, cap: int) -> int:
    """The most memory in bytes that a call and its server held at a time."""
    with HostileServer(script) as server:
        tracemalloc.start()
        with pytest.raises(MayHaveBeenSent) as failure:
            transport.send(IDP, post(server.url, cap))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert failure.value.reason == "too-large"
    return peak


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(streams(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536), id="one"),
        pytest.param(streams(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000), id="many"),
        pytest.param(streams(b"", b"x" * 65536), id="status line"),
    ],
)
def test_endless_headers_end_the_call(transport: Transport, script: Script) -> None:
    with HostileServer(script) as server:
        assert duration_of_failure(transport, server.url, "protocol") < PATIENCE


def test_a_body_of_exactly_the_cap_is_taken(transport: Transport) -> None:
    with HostileServer(answers(http(b"x" * SMALL))) as server:
        assert len(transport.send(IDP, post(server.url)).body) == SMALL


def test_identity_is_asked_for(transport: Transport) -> None:
    with HostileServer(answers(http(b"{}"))) as server:
        transport.send(IDP, post(server.url))
        assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_gzip_answer_within_the_cap_is_decoded(transport: Transport) -> None:
    with HostileServer(answers(http(gzip.compress(b"a" * SMALL), content_encoding="gzip"))) as server:
        assert transport.send(IDP, post(server.url)).body == b"a" * SMALL


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(b"{}", content_encoding="br"), id="unknown"),
        pytest.param(http(b"{}", content_encoding="gzip, gzip"), id="twice"),
        pytest.param(http(b"{}", content_encoding="gzip"), id="not gzip"),
        pytest.param(http(gzip.compress(b"{}")[:-9], content_encoding="gzip"), id="truncated"),
        pytest.param(http(b"", content_encoding="gzip"), id="empty"),
    ],
)
def test_an_answer_that_cannot_be_decoded_is_refused(transport: Transport, answer: bytes) -> None:
    with HostileServer(answers(answer)) as server, pytest.raises(MayHaveBeenSent) as failure:
        transport.send(IDP, post(server.url))
    assert failure.value.reason == "encoding"


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "127.0.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:127.0.0.1",
        "::",
    ],
)
@pytest.mark.parametrize("first", [[], ["93.184.216.34"]], ids=["alone", "beside a public one"])
def test_a_public_name_with_an_inner_address_is_not_dialled(address: str, first: list[str]) -> None:
    with listener() as inner:
        transport = Transport(AddressPolicy(), timeouts=QUICK, resolve=lambda _: [*first, address])
        with pytest.raises(NotSent) as failure:
            transport.send(IDP, post(f"https://idp.example:{inner.port}/token"))
        assert failure.value.reason == "address-refused"
        assert inner.connections == 0


def test_the_address_that_was_checked_is_the_one_dialled() -> None:
    lookups: list[str] = []

    def rebinding(host: str) -> Sequence[str]:
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["169.254.169.254"]

    with HostileServer(answers(http(b"{}"))) as server:
        transport = Transport(AddressPolicy(["idp.internal"]), timeouts=QUICK, resolve=rebinding)
        transport.send(IDP, post(f"http://idp.internal:{server.port}/token"))
        transport.close()
        assert lookups == ["idp.internal"]
        assert server.requests[0].headers["host"] == f"idp.internal:{server.port}"


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/token",
        "http://10.0.0.1/token",
        "http://127.1:{port}/",
        "http://0x7f000001:{port}/",
        "http://2130706433:{port}/",
        "https://[::ffff:127.0.0.1]:{port}/",
        "https://127.0.0.1.nip.example@127.0.0.1:{port}/",
        "http://user:word@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}/#fragment",
        "http://127.0.0.1:{port}/ HTTP/1.1\r\nX: y",
        "http://127.0.0.1:{port}\\@idp.example/",
        "ftp://127.0.0.1:{port}/",
        "file:///etc/passwd",
        "http:///token",
        "http://127.0.0.1:99999/",
        "//127.0.0.1:{port}/",
        "",
    ],
)
def test_a_url_that_must_not_be_called_reaches_nobody(transport: Transport, url: str) -> None:
    with listener() as server, pytest.raises(NotSent) as failure:
        transport.send(IDP, post(url.format(port=server.port)))
    assert failure.value.reason == "address-refused"
    assert server.connections == 0


def test_no_proxy_is_taken_from_the_environment(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as proxy, HostileServer(answers(http(b"{}"))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert transport.send(IDP, post(server.url)).status == 200
        assert proxy.connections == 0


def test_a_server_with_a_good_certificate_is_spoken_to(authority: Authority) -> None:
    transport = Transport(AddressPolicy(), ca_bundle=str(authority.bundle), timeouts=QUICK)
    with HostileServer(answers(http(as_json({"ok": 1}))), tls=authority.server_context()) as server:
        assert transport.send(IDP, post(server.url)).body == b'{"ok": 1}'
    transport.close()


@pytest.mark.parametrize("flaw", ["wrong name", "expired", "self-signed", "unknown authority", "old TLS"])
def test_bad_tls_ends_the_call_with_nothing_sent(authority: Authority, tmp_path: Path, flaw: str) -> None:
    context = {
        "wrong name": lambda: authority.server_context("idp.example"),
        "expired": lambda: authority.server_context(expired=True),
        "self-signed": lambda: authority.server_context(self_signed=True),
        "unknown authority": lambda: Authority(tmp_path).server_context(),
        "old TLS": authority.old_tls_context,
    }[flaw]()
    transport = Transport(AddressPolicy(), ca_bundle=str(authority.bundle), timeouts=QUICK)
    with HostileServer(answers(http(b"{}")), tls=context) as server, pytest.raises(NotSent) as failure:
        transport.send(IDP, post(server.url))
    assert failure.value.reason == "tls"
    assert server.requests == []


def test_a_refused_connection_is_not_sent(transport: Transport) -> None:
    with HostileServer() as server:
        url = server.url
    with pytest.raises(NotSent) as failure:
        transport.send(IDP, post(url))
    assert failure.value.reason == "connect"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(resets, "reset", id="reset"),
        pytest.param(answers(b""), "protocol", id="closed without an answer"),
        pytest.param(answers(http(b"x" * 100)[:-50]), "protocol", id="truncated body"),
        pytest.param(answers(b"HTTP/1.1 200 OK\r\nContent-Le"), "protocol", id="truncated headers"),
        pytest.param(answers(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), "protocol", id="not HTTP"),
        pytest.param(
            answers(TWO_LENGTHS),
            "protocol",
            id="two lengths",
        ),
    ],
)
def test_a_failure_after_sending_may_have_been_sent_and_is_not_sent_again(
    transport: Transport, script: Script, reason: str
) -> None:
    with HostileServer(script) as server:
        duration_of_failure(transport, server.url, reason)
        assert len(server.requests) == 1


def test_a_connection_closed_while_idle_is_replaced_and_the_request_delivered_once(transport: Transport) -> None:
    with HostileServer(answers(http(b"1")), answers(http(b"2"))) as server:
        transport.send(IDP, post(server.url))
        # The server hangs up after one answer; its close arrives before or after we look, and both must be right.
        try:
            transport.send(IDP, post(server.url))
        except MayHaveBeenSent:
            assert len(server.requests) == 1
        else:
            assert len(server.requests) == 2


def test_a_connection_that_dies_on_the_second_request_does_not_resend_it(transport: Transport) -> None:
    def twice(talk: Conversation) -> None:
        answers(http(b"1"))(talk)
        resets(talk)

    with HostileServer(twice) as server:
        transport.send(IDP, post(server.url))
        duration_of_failure(transport, server.url, "reset")
        assert (server.connections, len(server.requests)) == (1, 2)


def test_neither_errors_nor_our_logs_hold_what_was_sent(transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tokenstore")
    with HostileServer(resets) as server:
        request = post(f"{server.url}/?x={SECRET}")
        with pytest.raises(MayHaveBeenSent) as failure:
            transport.send(IDP, request)
    assert SECRET not in repr(failure.value) + str(failure.value.__cause__) + caplog.text
    assert SECRET not in repr(post(server.url))
