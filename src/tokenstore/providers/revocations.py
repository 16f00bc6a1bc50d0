"""What an answer to a revocation means (RFC 7009 section 2.2, and the ways providers depart from it). Pure."""

from __future__ import annotations

from tokenstore.core.model import RevocationResult
from tokenstore.providers.answers import known_code
from tokenstore.providers.messages import Response
from tokenstore.providers.strict_json import BadJson, parse_object


def read_revocation_response(response: Response) -> tuple[RevocationResult, str]:
    """The result, and one of our words for the log: a known error code, else `status-<number>`.

    200 and 204 confirm, unless the body reports an error or says `"ok": false` as Slack does. FAILED may be tried
    again later.
    """
    try:
        members = parse_object(response.body)
    except BadJson:
        members = {}
    error = members.get("error")
    code = known_code(error) if error else f"status-{response.status}"
    if response.status in (200, 204) and not error and members.get("ok") is not False:
        return RevocationResult.CONFIRMED, code
    if code == "unsupported_token_type":
        return RevocationResult.UNSUPPORTED, code
    return RevocationResult.FAILED, code
