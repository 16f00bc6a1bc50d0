"""Create the tables.

Instants are milliseconds since 1970-01-01 UTC.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False, comment="listed in the events reference"),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.String(length=32), nullable=True),
        sa.Column("link_id", sa.Uuid(), nullable=True, comment="no foreign key: the event outlives the link"),
        sa.Column("user_issuer", sa.Text(), nullable=True, comment="whose link or login it is about"),
        sa.Column("user_subject", sa.Text(), nullable=True),
        sa.Column("caller_kind", sa.String(length=16), nullable=True, comment="how the caller proved who it is"),
        sa.Column("caller_issuer", sa.Text(), nullable=True),
        sa.Column("caller_subject", sa.Text(), nullable=True),
        sa.Column("caller_client", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True, comment="network address of the caller"),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
        comment="Lifecycle events, written in the transaction they belong to; rows are only added",
    )
    op.create_index(op.f("ix_audit_event_at"), "audit_event", ["at"], unique=False)

    op.create_table(
        "link_attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state_hash", sa.LargeBinary(), nullable=False, comment="HMAC of the state parameter"),
        sa.Column(
            "session_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="HMAC of the browser session's key; NULL: begun by a program",
        ),
        sa.Column("provider_id", sa.String(length=32), nullable=False, comment="oidc: a login"),
        sa.Column(
            "sealed", sa.LargeBinary(), nullable=False, comment="nonce, verifier, user, return address and the rest"
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_attempt")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_link_attempt_state_hash")),
        comment="Logins and linkings under way, each taken once by deleting it",
    )
    op.create_index(op.f("ix_link_attempt_expires_at"), "link_attempt", ["expires_at"], unique=False)
    op.create_index(
        op.f("ix_link_attempt_session_hash_created_at"), "link_attempt", ["session_hash", "created_at"], unique=False
    )

    op.create_table(
        "session",
        sa.Column("id", sa.String(length=64), nullable=False, comment="HMAC of the session id, hex"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        comment="Browser sessions",
    )
    op.create_index(op.f("ix_session_expires_at"), "session", ["expires_at"], unique=False)

    op.create_table(
        "user_account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False, comment="issuer of the login provider"),
        sa.Column("subject", sa.Text(), nullable=False, comment="with the issuer, who the person is"),
        sa.Column("name", sa.Text(), nullable=True, comment="for display"),
        sa.Column("email", sa.Text(), nullable=True, comment="for display and the account policy; never identifies"),
        sa.Column("email_verified", sa.Boolean(), nullable=False, comment="as the login provider said with the e-mail"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True, comment="from then on nothing is handed out"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_user_account_issuer_subject")),
        comment="People who logged in or linked; the row is the lock under which the set of a user's links changes",
    )
    op.create_table(
        "vault_key",
        sa.Column("dek_id", sa.LargeBinary(), nullable=False),
        sa.Column("alg", sa.SmallInteger(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False, comment="the data key under the key-encryption key"),
        sa.Column("kek_id", sa.Text(), nullable=False, comment="the key-encryption key that wrapped it"),
        sa.Column(
            "state", sa.String(length=16), nullable=False, comment="active (seals and opens), decrypt (opens), retired"
        ),
        sa.Column("kcv", sa.LargeBinary(), nullable=False, comment="check value of what is wrapped"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'decrypt', 'retired')", name=op.f("ck_vault_key_state")),
        sa.PrimaryKeyConstraint("dek_id", name=op.f("pk_vault_key")),
        comment="Wrapped data keys",
    )
    op.create_index(
        "uq_vault_key_active",
        "vault_key",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )

    op.create_table(
        "link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False, comment="the client the tokens were issued to"),
        sa.Column("issuer", sa.Text(), nullable=False, comment="issuer that scopes the account's subject"),
        sa.Column("subject", sa.Text(), nullable=False, comment="with the issuer, which account this is"),
        sa.Column("account_name", sa.Text(), nullable=True, comment="for display"),
        sa.Column("account_email", sa.Text(), nullable=True, comment="for display"),
        sa.Column("account_email_verified", sa.Boolean(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True, comment="the user's own name for the link"),
        sa.Column("is_default", sa.Boolean(), nullable=False, comment="the link meant when none is named"),
        sa.Column(
            "state", sa.String(length=16), nullable=False, comment="active, suspect, broken or revoked (a tombstone)"
        ),
        sa.Column(
            "version",
            sa.BigInteger(),
            nullable=False,
            comment="the fence: grows when the refresh token changes or goes",
        ),
        sa.Column("lease_owner", sa.Text(), nullable=True, comment="the process that may spend the refresh token"),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("refresh_sealed", sa.LargeBinary(), nullable=True, comment="NULL: none was given, or revoked"),
        sa.Column("refresh_expires_at", sa.BigInteger(), nullable=True, comment="NULL: unknown or never"),
        sa.Column(
            "prev_sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="a refresh token that may still work when the current one does not",
        ),
        sa.Column("prev_until", sa.BigInteger(), nullable=True, comment="when that hope ends"),
        sa.Column("scopes_requested", sa.Text(), nullable=False, comment="sorted, separated by spaces"),
        sa.Column("scopes_granted", sa.Text(), nullable=False, comment="sorted, separated by spaces"),
        sa.Column("fail_count", sa.Integer(), nullable=False, comment="failed refreshes in a row"),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True, comment="no refresh before"),
        sa.Column("last_error", sa.Text(), nullable=True, comment="our reason code, never a provider's text"),
        sa.Column("last_error_at", sa.BigInteger(), nullable=True),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.Column("last_refresh_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state <> 'revoked' OR (refresh_sealed IS NULL AND prev_sealed IS NULL AND NOT is_default)",
            name=op.f("ck_link_tombstone"),
        ),
        sa.CheckConstraint("state IN ('active', 'suspect', 'broken', 'revoked')", name=op.f("ck_link_state")),
        sa.CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_link_lease")),
        sa.CheckConstraint("(prev_sealed IS NULL) = (prev_until IS NULL)", name=op.f("ck_link_previous")),
        sa.CheckConstraint("version > 0 AND fail_count >= 0", name=op.f("ck_link_counters")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_link_user_id_user_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint(
            "user_id", "provider_id", "issuer", "subject", name=op.f("uq_link_user_id_provider_id_issuer_subject")
        ),
        comment="One user's connection to one account at one provider",
    )
    op.create_index(
        "uq_link_default",
        "link",
        ["user_id", "provider_id"],
        unique=True,
        sqlite_where=sa.text("is_default = 1"),
        postgresql_where=sa.text("is_default"),
    )

    op.create_table(
        "access_token",
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column(
            "variant",
            sa.String(length=64),
            nullable=False,
            comment="hash of scope, audience and resource asked for, or default",
        ),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False, comment="sorted, separated by spaces"),
        sa.Column("issued_at", sa.BigInteger(), nullable=False, comment="when the request for it was sent"),
        sa.Column(
            "expires_at",
            sa.BigInteger(),
            nullable=True,
            comment="safety allowance taken off; NULL: the provider did not say",
        ),
        sa.Column(
            "link_version", sa.BigInteger(), nullable=False, comment="version of the link that the token came with"
        ),
        sa.ForeignKeyConstraint(
            ["link_id"], ["link.id"], name=op.f("fk_access_token_link_id_link"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("link_id", "variant", name=op.f("pk_access_token")),
        comment="Cached access tokens, one per variant of a link",
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=True, comment="NULL: never stored, or purged"),
        sa.Column(
            "user_id",
            sa.Uuid(),
            nullable=True,
            comment="no foreign key: the sealed value is bound to it and the debt outlives the user",
        ),
        sa.Column("provider_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False, comment="the client the token was issued to"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="the token to be revoked"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("give_up_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True, comment="a worker is at it"),
        sa.CheckConstraint("kind IN ('revoke', 'notify')", name=op.f("ck_outbox_kind")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_outbox_attempts")),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_outbox_link_id_link"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        comment="Work owed to providers",
    )
    op.create_index(op.f("ix_outbox_link_id"), "outbox", ["link_id"], unique=False)
    op.create_index(op.f("ix_outbox_next_try_at"), "outbox", ["next_try_at"], unique=False)


def downgrade() -> None:
    for table in (
        "outbox",
        "access_token",
        "link",
        "vault_key",
        "user_account",
        "session",
        "link_attempt",
        "audit_event",
    ):
        op.drop_table(table)
