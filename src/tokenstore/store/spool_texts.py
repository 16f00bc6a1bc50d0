"""What stands in a file of the spool: an answer as JSON, sealed, with length and digest before it.

These tell whether it was written whole, so that a torn file is told from one whose key is not there.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import uuid5

from tokenstore.core.model import Account, Asked, Identity, LinkId, ProviderId
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spooled, Whose
from tokenstore.store.token_texts import tokens_from_json, tokens_to_json
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Vault

_MAGIC: Final = b"TSSPOOL1"
_LENGTH: Final = slice(len(_MAGIC), len(_MAGIC) + 4)
_DIGEST: Final = slice(_LENGTH.stop, _LENGTH.stop + 32)

HEAD: Final = _DIGEST.stop
"""Bytes before the sealed text, which are not all zero."""


class Torn(Exception):
    """What was read is not, or not wholly, what was written."""


def pack(vault: Vault, spooled: Spooled) -> bytes:
    """All of an answer. Raises KeyUnavailable."""
    sealed = vault.seal(Secret(_to_text(spooled)), _context(spooled.link_id, spooled.version))
    return _MAGIC + len(sealed).to_bytes(4, "big") + sha256(sealed).digest() + sealed


def unpack(vault: Vault, content: bytes, link_id: LinkId, version: int) -> Spooled:
    """The answer that was packed, of this link at this version; what follows it is ignored.

    Raises Torn, KeyUnavailable. What another version of the store did not write is as not said; without tokens it
    raises KeyError.
    """
    sealed = content[HEAD : HEAD + int.from_bytes(content[_LENGTH], "big")]
    if not content.startswith(_MAGIC) or content[_DIGEST] != sha256(sealed).digest():
        raise Torn
    return _from_text(vault.open(sealed, _context(link_id, version)).reveal(), link_id, version)


def try_to_seal(vault: Vault, link_id: LinkId, version: int) -> None:
    """Raise KeyUnavailable if an answer could not be packed."""
    vault.seal(Secret(""), _context(link_id, version))


def _context(link_id: LinkId, version: int) -> Context:
    # Not the provider, who may get another id while an answer waits.
    return Context("spool", Kind.SPOOL, uuid5(link_id, str(version)))


def _to_text(spooled: Spooled) -> str:
    asked = spooled.asked
    return json.dumps(
        {
            "asked": [sorted(asked.scopes), asked.audience, list(asked.resources)],
            "tokens": tokens_to_json(spooled.tokens),
            "sent_at": spooled.sent_at.timestamp(),
            "rotation_only": spooled.rotation_only,
            "whose": None if spooled.whose is None else _whose_to_json(spooled.whose),
        }
    )


def _from_text(text: str, link_id: LinkId, version: int) -> Spooled:
    found = json.loads(text)
    scopes, audience, resources = found.get("asked", ((), None, ()))
    whose = found.get("whose")
    return Spooled(
        link_id,
        version,
        Asked(frozenset(scopes), audience, tuple(resources)),
        tokens_from_json(found["tokens"]),
        datetime.fromtimestamp(found.get("sent_at", 0), UTC),
        found.get("rotation_only", False),
        None if whose is None else _whose_from_json(whose),
    )


def _whose_to_json(whose: Whose) -> dict[str, Any]:
    return {
        "provider": whose.provider_id,
        "client": whose.client_id,
        "owner": [whose.owner.issuer, whose.owner.subject],
        "account": [whose.account.issuer, whose.account.subject],
    }


def _whose_from_json(found: dict[str, Any]) -> Whose:
    owner, account = Identity(*found["owner"]), Account(*found["account"])
    return Whose(ProviderId(found["provider"]), found["client"], owner, account)
