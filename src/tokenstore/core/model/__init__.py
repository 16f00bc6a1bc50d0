"""The values the store works with, filed by what they are about; import them from here.

Frozen and without clock, network or database. Instants are aware UTC datetimes, durations timedeltas.
"""

from tokenstore.core.model.attempts import Attempt, Callback, Purpose
from tokenstore.core.model.audit import AuditEvent
from tokenstore.core.model.links import (
    Account,
    Cached,
    Chosen,
    Doubt,
    HandOut,
    Holding,
    Lease,
    Link,
    LinkId,
    LinkState,
)
from tokenstore.core.model.outcomes import (
    ACCOUNT_CHANGED,
    PAUSED,
    Granted,
    Misconfigured,
    Outcome,
    Refused,
    RevocationResult,
    ScopeRefused,
    Unavailable,
    Unclear,
)
from tokenstore.core.model.people import Caller, CallerKind, Identity, Login, LogoutNotice, Origin, Profile, UserId
from tokenstore.core.model.providers import (
    LOGIN_PROVIDER,
    DisplayMetadata,
    Endpoints,
    Provider,
    ProviderId,
    ProviderKind,
    Rotation,
    RotationKind,
)
from tokenstore.core.model.tokens import AccessToken, Asked, TokenSet

__all__ = [
    "ACCOUNT_CHANGED",
    "LOGIN_PROVIDER",
    "PAUSED",
    "AccessToken",
    "Account",
    "Asked",
    "Attempt",
    "AuditEvent",
    "Cached",
    "Callback",
    "Caller",
    "CallerKind",
    "Chosen",
    "DisplayMetadata",
    "Doubt",
    "Endpoints",
    "Granted",
    "HandOut",
    "Holding",
    "Identity",
    "Lease",
    "Link",
    "LinkId",
    "LinkState",
    "Login",
    "LogoutNotice",
    "Misconfigured",
    "Origin",
    "Outcome",
    "Profile",
    "Provider",
    "ProviderId",
    "ProviderKind",
    "Purpose",
    "Refused",
    "RevocationResult",
    "Rotation",
    "RotationKind",
    "ScopeRefused",
    "TokenSet",
    "Unavailable",
    "Unclear",
    "UserId",
]
