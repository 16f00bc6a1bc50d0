"""What answers to a revocation mean."""

from __future__ import annotations

import pytest

from tokenstore.core.model import RevocationResult
from tokenstore.providers.messages import Response
from tokenstore.providers.revocations import read_revocation_response

CONFIRMED, FAILED, UNSUPPORTED = RevocationResult.CONFIRMED, RevocationResult.FAILED, RevocationResult.UNSUPPORTED


@pytest.mark.parametrize(
    ("status", "body", "result", "word"),
    [
        (200, b"", CONFIRMED, "status-200"),
        (200, b"null", CONFIRMED, "status-200"),
        (204, b"", CONFIRMED, "status-204"),
        (200, b'{"ok": true, "revoked": true}', CONFIRMED, "status-200"),
        (200, b'{"ok": false, "error": "invalid_auth"}', FAILED, "other"),
        (200, b'{"error": "invalid_client"}', FAILED, "invalid_client"),
        (400, b'{"error": "unsupported_token_type"}', UNSUPPORTED, "unsupported_token_type"),
        (401, b'{"error": "invalid_client"}', FAILED, "invalid_client"),
        (401, b"", FAILED, "status-401"),
        (404, b"<html>", FAILED, "status-404"),
        (503, b"", FAILED, "status-503"),
        (302, b"", FAILED, "status-302"),
    ],
)
def test_an_answer_is_a_result(status: int, body: bytes, result: RevocationResult, word: str) -> None:
    assert read_revocation_response(Response(status, body)) == (result, word)
