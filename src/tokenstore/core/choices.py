"""What a person chooses about links that are there: their names, and which one is meant when none is named."""

from __future__ import annotations

from tokenstore.core.model import AuditEvent, Caller, Link, LinkId
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import LinkStore
from tokenstore.errors import FieldProblem, InvalidRequest, NotFound

LABEL_MOST = 64
"""Characters of a label."""


class ChoiceService:
    """Names links and chooses the default one."""

    def __init__(self, policy: Policy, links: LinkStore) -> None:
        self._policy = policy
        self._links = links

    def name(self, caller: Caller, link_id: LinkId, label: str | None) -> Link:
        """Give the link this name, None or spaces: none any more; audited if it changes.

        Raises InvalidRequest, NotFound, PolicyDenied, StorageUnavailable.
        """
        label = (label or "").strip() or None
        if label is not None and (len(label) > LABEL_MOST or not label.isprintable()):
            problem = FieldProblem("label", f"must be a text of at most {LABEL_MOST} printable characters")
            raise InvalidRequest(f"A name has at most {LABEL_MOST} printable characters.", errors=[problem])
        self._policy.require(caller, caller.identity, Action.CHOOSE)
        event = AuditEvent("link.named", "success", caller, caller.identity)
        return _found(self._links.name(caller.identity, link_id, label, event))

    def make_default(self, caller: Caller, link_id: LinkId) -> Link:
        """Make the link the one that is meant when none is named; audited if it was not.

        Raises NotFound, PolicyDenied, StorageUnavailable.
        """
        self._policy.require(caller, caller.identity, Action.CHOOSE)
        event = AuditEvent("link.default", "success", caller, caller.identity)
        return _found(self._links.make_default(caller.identity, link_id, event))


def _found(link: Link | None) -> Link:
    if link is None:
        raise NotFound("There is no such link of yours.")
    return link
