"""Which of our secrets a provider takes: CLIENT_SECRET and CLIENT_SECRETS in order, the one that worked last first.

So a secret can be changed at the provider before or after it is changed here. What is remembered lives as long as the
process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tokenstore.core.model import Granted, Misconfigured, Outcome, Provider, ProviderId, Refused, ScopeRefused
from tokenstore.core.secret import Secret
from tokenstore.providers.answers import CLIENT_REFUSALS


class Credentials:
    """The order in which secrets are tried. Thread-safe: a race costs one refused call more."""

    def __init__(self) -> None:
        self._working: dict[ProviderId, Secret] = {}

    def in_order(self, provider: Provider) -> Sequence[Provider]:
        """The provider once for each secret, with that one alone; once as it is where it needs none."""
        known = [secret for secret in (provider.client_secret, *provider.further_secrets) if secret is not None]
        if provider.auth_method == "none" or len(known) < 2:
            return [provider]
        working = self._working.get(provider.id)
        known.sort(key=lambda secret: secret != working)
        return [replace(provider, client_secret=secret, further_secrets=()) for secret in known]

    def learn(self, provider: Provider, outcome: Outcome) -> None:
        """Remember the secret of a provider of `in_order` if the outcome shows that it was taken."""
        if provider.client_secret is not None and isinstance(outcome, Granted | Refused | ScopeRefused):
            self._working[provider.id] = provider.client_secret


def refuses_us(outcome: Outcome) -> bool:
    """Whether the provider refused our credentials, so that another secret may help."""
    return isinstance(outcome, Misconfigured) and outcome.code in CLIENT_REFUSALS
