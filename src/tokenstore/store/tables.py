"""The tables. Their rules stand in the database: NOT NULL, CHECK, UNIQUE, and a comment on what is not obvious.

Keys are UUIDs made before the insert, because sealed values are bound to them. `*_sealed` and `sealed` columns hold
vault blobs. What the columns of `link` mean to the refresh protocol: `docs/explanation`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from tokenstore.store.base import Instant

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

user_account = Table(
    "user_account",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("issuer", Text, nullable=False, comment="issuer of the login provider"),
    Column("subject", Text, nullable=False, comment="with the issuer, who the person is"),
    Column("name", Text, comment="for display"),
    Column("email", Text, comment="for display and the account policy; never identifies"),
    Column("email_verified", Boolean, nullable=False, comment="as the login provider said with the e-mail"),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant, comment="from then on nothing is handed out"),
    UniqueConstraint("issuer", "subject"),
    comment="People who logged in or linked; the row is the lock under which the set of a user's links changes",
)

Index(
    "ix_user_account_disabled",
    user_account.c.disabled_at,
    sqlite_where=user_account.c.disabled_at.is_not(None),
    postgresql_where=user_account.c.disabled_at.is_not(None),
)

login = Table(
    "login",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sid", Text, index=True, comment="the login provider's name of the login, by which it may end it"),
    Column("agent", Text, comment="browser and system in a few words, for display"),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False, comment="to the minute"),
    Column("expires_at", Instant, nullable=False, index=True),
    comment="Browsers that are logged in; a session without its row here is nobody's",
)

logout_notice = Table(
    "logout_notice",
    metadata,
    Column("id", LargeBinary, primary_key=True, comment="hash of issuer and jti"),
    Column("expires_at", Instant, nullable=False, index=True),
    comment="Logout tokens that came, so that none counts twice",
)

link = Table(
    "link",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("provider_id", String(32), nullable=False),
    Column("client_id", Text, nullable=False, comment="the client the tokens were issued to"),
    Column("issuer", Text, nullable=False, comment="issuer that scopes the account's subject"),
    Column("subject", Text, nullable=False, comment="with the issuer, which account this is"),
    Column("account_name", Text, comment="for display"),
    Column("account_email", Text, comment="for display"),
    Column("account_email_verified", Boolean, nullable=False),
    Column("label", Text, comment="the user's own name for the link"),
    Column("is_default", Boolean, nullable=False, comment="the link meant when none is named"),
    Column("state", String(16), nullable=False, comment="active, suspect, broken or revoked (a tombstone)"),
    Column("version", BigInteger, nullable=False, comment="the fence: grows when the refresh token changes or goes"),
    Column("lease_owner", Text, comment="the process that may spend the refresh token"),
    Column("lease_until", Instant),
    Column("refresh_sealed", LargeBinary, comment="NULL: none was given, or revoked"),
    Column("refresh_expires_at", Instant, comment="NULL: unknown or never"),
    Column("prev_sealed", LargeBinary, comment="a refresh token that may still work when the current one does not"),
    Column("prev_until", Instant, comment="when that hope ends"),
    Column("scopes_requested", Text, nullable=False, comment="sorted, separated by spaces"),
    Column("scopes_granted", Text, nullable=False, comment="sorted, separated by spaces"),
    Column("fail_count", Integer, nullable=False, comment="failed refreshes in a row"),
    Column("next_try_at", Instant, comment="no refresh before"),
    Column("last_error", Text, comment="our reason code, never a provider's text"),
    Column("last_error_at", Instant),
    Column(
        "doubt", String(16), comment="why the refresh token may have been spent without our knowing; NULL: it was not"
    ),
    Column("due_at", Instant, comment="when the keeper looks after it; NULL: not before somebody asks for a token"),
    Column(
        "grant_version",
        BigInteger,
        comment="the version at which it was linked last; NULL: linked by an earlier release",
    ),
    Column("linked_at", Instant, nullable=False),
    Column("last_refresh_at", Instant),
    Column("last_used_at", Instant),
    UniqueConstraint("user_id", "provider_id", "issuer", "subject"),
    Index(None, "issuer", "subject"),
    CheckConstraint("state IN ('active', 'suspect', 'broken', 'revoked')", name="state"),
    CheckConstraint("version > 0 AND fail_count >= 0", name="counters"),
    CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease"),
    CheckConstraint("(prev_sealed IS NULL) = (prev_until IS NULL)", name="previous"),
    CheckConstraint(
        "state <> 'revoked' OR (refresh_sealed IS NULL AND prev_sealed IS NULL AND NOT is_default)", name="tombstone"
    ),
    comment="One user's connection to one account at one provider",
)

Index(
    "uq_link_default",
    link.c.user_id,
    link.c.provider_id,
    unique=True,
    sqlite_where=text("is_default = 1"),
    postgresql_where=text("is_default"),
)

Index(
    "ix_link_due",
    link.c.provider_id,
    link.c.due_at,
    sqlite_where=link.c.due_at.is_not(None),
    postgresql_where=link.c.due_at.is_not(None),
)

access_token = Table(
    "access_token",
    metadata,
    Column("link_id", ForeignKey("link.id", ondelete="CASCADE"), nullable=False),
    Column("variant", String(64), nullable=False, comment="hash of scope, audience and resource asked for, or default"),
    Column("sealed", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False, comment="sorted, separated by spaces"),
    Column("issued_at", Instant, nullable=False, comment="when the request for it was sent"),
    Column("expires_at", Instant, comment="safety allowance taken off; NULL: the provider did not say"),
    Column("link_version", BigInteger, nullable=False, comment="version of the link that the token came with"),
    PrimaryKeyConstraint("link_id", "variant"),
    comment="Cached access tokens, one per variant of a link",
)

link_attempt = Table(
    "link_attempt",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("state_hash", LargeBinary, nullable=False, unique=True, comment="HMAC of the state parameter"),
    Column("session_hash", LargeBinary, comment="HMAC of whose open attempts these are: a session's, or a program's"),
    Column("provider_id", String(32), nullable=False, comment="oidc: a login"),
    Column("sealed", LargeBinary, nullable=False, comment="nonce, verifier, user, return address and the rest"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Index(None, "session_hash", "created_at"),
    comment="Logins and linkings under way, each taken once by deleting it",
)

link_waiting = Table(
    "link_waiting",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("session_hash", LargeBinary, nullable=False, comment="HMAC of the browser session's key"),
    Column("provider_id", String(32), nullable=False),
    Column("client_id", Text, nullable=False, comment="the client the tokens were issued to"),
    Column("sealed", LargeBinary, nullable=False, comment="account, tokens, return address and the rest"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    comment="Tokens of another account than the linked ones, until the person says what is meant",
)

audit_event = Table(
    "audit_event",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    Column("action", String(64), nullable=False, comment="listed in the events reference"),
    Column("outcome", String(32), nullable=False),
    Column("reason", Text),
    Column("provider_id", String(32)),
    Column("link_id", Uuid, comment="no foreign key: the event outlives the link"),
    Column("user_issuer", Text, comment="whose link or login it is about"),
    Column("user_subject", Text),
    Column("caller_kind", String(16), comment="how the caller proved who it is"),
    Column("caller_issuer", Text),
    Column("caller_subject", Text),
    Column("caller_client", Text),
    Column("address", Text, comment="network address of the caller"),
    Column("request_id", Text),
    Index(None, "provider_id", "action", "at"),
    comment="Lifecycle events, written in the transaction they belong to; rows are only added",
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", String(16), nullable=False, comment="revoke: a token of a link; stray: of a linking that failed"),
    Column("link_id", ForeignKey("link.id", ondelete="SET NULL"), index=True, comment="NULL: never stored, or purged"),
    Column("user_id", Uuid, comment="no foreign key: the sealed value is bound to it and the debt outlives the user"),
    Column("provider_id", String(32), nullable=False),
    Column("client_id", Text, nullable=False, comment="the client the token was issued to"),
    Column("sealed", LargeBinary, nullable=False, comment="the token to be revoked"),
    Column("attempts", Integer, nullable=False),
    Column("next_try_at", Instant, nullable=False, index=True),
    Column("give_up_at", Instant, nullable=False),
    Column("lease_until", Instant, comment="a worker is at it"),
    CheckConstraint("kind IN ('revoke', 'stray')", name="kind"),
    CheckConstraint("attempts >= 0", name="attempts"),
    comment="Work owed to providers",
)

provider_seen = Table(
    "provider_seen",
    metadata,
    Column("provider_id", String(32), nullable=False),
    Column("fact", String(32), nullable=False, comment="what was seen, by our name"),
    Column("value", String(32), nullable=False, comment="how it was; several values may have been seen"),
    Column("first_seen_at", Instant, nullable=False),
    PrimaryKeyConstraint("provider_id", "fact", "value"),
    comment="What providers' answers taught about their ways; rows are only added",
)

provider_state = Table(
    "provider_state",
    metadata,
    Column("provider_id", String(32), primary_key=True),
    Column("quarantined_at", Instant, comment="NULL: not in quarantine"),
    Column("probe_at", Instant, comment="in quarantine: no link is tried before"),
    Column(
        "counted_from", Instant, nullable=False, comment="refusals before do not count: an operator dealt with them"
    ),
    Column("given_up_before", Instant, comment="links with tokens from before are given up when they are refused"),
    CheckConstraint("(quarantined_at IS NULL) = (probe_at IS NULL)", name="quarantine"),
    comment="Providers that refused too many links at once, so that nothing is believed of their refusals",
)

vault_key = Table(
    "vault_key",
    metadata,
    Column("dek_id", LargeBinary, primary_key=True),
    Column("alg", SmallInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False, comment="the data key under the key-encryption key"),
    Column("kek_id", Text, nullable=False, comment="the key-encryption key that wrapped it"),
    Column("state", String(16), nullable=False, comment="active (seals and opens), decrypt (opens), retired"),
    Column("kcv", LargeBinary, nullable=False, comment="check value of what is wrapped"),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("state IN ('active', 'decrypt', 'retired')", name="state"),
    comment="Wrapped data keys",
)

Index(
    "uq_vault_key_active",
    vault_key.c.state,
    unique=True,
    sqlite_where=text("state = 'active'"),
    postgresql_where=text("state = 'active'"),
)

session = Table(
    "session",
    metadata,
    Column("id", String(64), primary_key=True, comment="HMAC of the session id, hex"),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    comment="Browser sessions",
)
