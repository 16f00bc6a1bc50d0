"""What a person chooses about links that are there: their names, and which one is meant when none is named."""

from __future__ import annotations

from dataclasses import replace

from tokenstore.core.model import AuditEvent, Caller, Chosen, Link, LinkId
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

    def choose(self, caller: Caller, link_id: LinkId, chosen: Chosen) -> Link:
        """The link with this name (spaces: none any more) and as the default one, as chosen; what changes is audited.

        Raises InvalidRequest, NotFound, PolicyDenied, StorageUnavailable.
        """
        label = None if chosen.label is None else chosen.label.strip()
        if label is not None and (len(label) > LABEL_MOST or not label.isprintable()):
            problem = FieldProblem("label", f"must be a text of at most {LABEL_MOST} printable characters")
            raise InvalidRequest(f"A name has at most {LABEL_MOST} printable characters.", errors=[problem])
        self._policy.require(caller, caller.identity, Action.CHOOSE)
        named = AuditEvent("link.named", "success", caller, caller.identity)
        default = AuditEvent("link.default", "success", caller, caller.identity)
        link = self._links.choose(caller.identity, link_id, replace(chosen, label=label), named, default)
        if link is None:
            raise NotFound("You have no such link. The list of your links shows which there are.")
        return link
