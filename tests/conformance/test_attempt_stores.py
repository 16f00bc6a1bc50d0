"""What every AttemptStore promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from support.harness import BOB, Harness, attempt, in_parallel, unknown_link
from tokenstore.core.model import LOGIN_PROVIDER, ProviderId, Purpose
from tokenstore.core.secret import Secret


def test_a_saved_attempt_comes_back_whole(stores: Harness) -> None:
    saved = attempt(at=stores.attempts)
    stores.attempts.save(saved)
    assert stores.attempts.take("state-1") == saved


def test_a_login_of_nobody_comes_back_whole(stores: Harness) -> None:
    begun = attempt(at=stores.attempts)
    login = replace(begun, purpose=Purpose.LOGIN, provider_id=LOGIN_PROVIDER, user=None, session_key=None, scopes=())
    stores.attempts.save(login)
    assert stores.attempts.take("state-1") == login


def test_an_attempt_is_taken_once(stores: Harness) -> None:
    stores.attempts.save(attempt(at=stores.attempts))
    stores.attempts.take("state-1")
    assert stores.attempts.take("state-1") is None


def test_an_unknown_state_is_none(stores: Harness) -> None:
    stores.attempts.save(attempt(at=stores.attempts))
    assert stores.attempts.take("another") is None


def test_of_fifty_parallel_takers_one_gets_the_attempt(stores: Harness) -> None:
    stores.attempts.save(attempt(at=stores.attempts))
    taken = in_parallel(50, lambda _: stores.attempts.take("state-1"))
    assert sum(one is not None for one in taken) == 1


def test_an_expired_attempt_is_returned_as_expired_and_gone(stores: Harness) -> None:
    stores.attempts.save(attempt(at=stores.attempts))
    stores.advance(timedelta(minutes=11))
    late = stores.attempts.take("state-1")
    assert late is not None
    assert late.expires_at < stores.attempts.now()
    assert stores.attempts.take("state-1") is None


def test_the_sixth_open_attempt_of_a_session_ends_the_first(stores: Harness) -> None:
    for number in range(6):
        stores.attempts.save(attempt(f"state-{number}", at=stores.attempts))
        stores.advance(timedelta(milliseconds=5))
    assert stores.attempts.take("state-0") is None
    assert all(stores.attempts.take(f"state-{number}") for number in range(1, 6))


def test_other_sessions_and_programs_do_not_count(stores: Harness) -> None:
    stores.attempts.save(attempt("mine", at=stores.attempts))
    for number in range(6):
        stores.attempts.save(attempt(f"theirs-{number}", session_key="browser-2", at=stores.attempts))
        stores.attempts.save(attempt(f"program-{number}", session_key=None, at=stores.attempts))
    assert stores.attempts.take("mine") is not None


def test_the_sixth_open_attempt_of_a_users_programs_at_a_provider_ends_the_first(stores: Harness) -> None:
    first = attempt("elsewhere", session_key=None, at=stores.attempts)
    stores.attempts.save(replace(first, provider_id=ProviderId("idp2")))
    stores.attempts.save(replace(first, state=Secret("of-bob"), user=BOB.identity))
    for number in range(6):
        stores.attempts.save(attempt(f"state-{number}", session_key=None, at=stores.attempts))
        stores.advance(timedelta(milliseconds=5))
    assert stores.attempts.take("state-0") is None
    assert all(stores.attempts.take(name) for name in ("state-1", "state-5", "elsewhere", "of-bob"))


def test_expired_attempts_do_not_count(stores: Harness) -> None:
    for number in range(5):
        stores.attempts.save(attempt(f"old-{number}", at=stores.attempts))
    stores.advance(timedelta(minutes=11))
    stores.attempts.save(attempt("new", at=stores.attempts))
    assert stores.attempts.take("old-0") is not None


def test_what_was_wished_comes_back_with_the_attempt(stores: Harness) -> None:
    wished = replace(attempt(at=stores.attempts), link_id=unknown_link(), reports=True)
    stores.attempts.save(wished)
    assert stores.attempts.take("state-1") == wished
