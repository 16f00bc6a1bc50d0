"""Tokens that wait for a person's word, as the one text that is sealed."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from tokenstore.core.model import Account, Identity, LinkId, ProviderId
from tokenstore.core.ports import Waiting
from tokenstore.core.secret import Secret
from tokenstore.store.token_texts import tokens_from_json, tokens_to_json


def pack(waiting: Waiting) -> Secret:
    """All of it that has no column of its own."""
    content = {
        "user": [waiting.user.issuer, waiting.user.subject],
        "account": asdict(waiting.account),
        "tokens": tokens_to_json(waiting.tokens),
        "scopes_requested": sorted(waiting.scopes_requested),
        "elapsed": waiting.elapsed.total_seconds(),
        "return_url": waiting.return_url,
        "reports": waiting.reports,
        "link": str(waiting.link_id) if waiting.link_id else None,
    }
    return Secret(json.dumps(content))


def unpack(packed: Secret, waiting_id: UUID, provider_id: ProviderId, client_id: str, waited: timedelta) -> Waiting:
    """What was packed, older by the time that it `waited`."""
    content = json.loads(packed.reveal())
    return Waiting(
        id=waiting_id,
        user=Identity(*content["user"]),
        provider_id=provider_id,
        client_id=client_id,
        account=Account(**content["account"]),
        tokens=tokens_from_json(content["tokens"]),
        scopes_requested=frozenset(content["scopes_requested"]),
        sent=time.monotonic() - content["elapsed"] - waited.total_seconds(),
        return_url=content["return_url"],
        reports=content["reports"],
        link_id=LinkId(UUID(content["link"])) if content["link"] else None,
    )
