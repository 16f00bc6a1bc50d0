"""Look after links: when the keeper does, in which doubt they are, since which version they have their grant,
and which providers are in quarantine.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DUE = "when the keeper looks after it; NULL: not before somebody asks for a token"

GRANT = "the version at which it was linked last; NULL: linked by an earlier release"


def upgrade() -> None:
    doubt = "why the refresh token may have been spent without our knowing; NULL: it was not"
    op.add_column("link", sa.Column("doubt", sa.String(length=16), nullable=True, comment=doubt))
    op.add_column("link", sa.Column("due_at", sa.BigInteger(), nullable=True, comment=DUE))
    op.add_column("link", sa.Column("grant_version", sa.BigInteger(), nullable=True, comment=GRANT))
    there = sa.text("due_at IS NOT NULL")
    op.create_index("ix_link_due", "link", ["provider_id", "due_at"], sqlite_where=there, postgresql_where=there)
    link = sa.table("link", sa.column("due_at"), sa.column("linked_at"), sa.column("refresh_sealed"))
    # At once, in the order they were linked; how fast the keeper goes through them is its own business.
    op.execute(link.update().where(link.c.refresh_sealed.is_not(None)).values(due_at=link.c.linked_at))
    by_action = ["provider_id", "action", "at"]
    op.create_index(op.f("ix_audit_event_provider_id_action_at"), "audit_event", by_action, unique=False)
    op.create_table(
        "provider_state",
        sa.Column("provider_id", sa.String(length=32), nullable=False),
        sa.Column("quarantined_at", sa.BigInteger(), nullable=True, comment="NULL: not in quarantine"),
        sa.Column("probe_at", sa.BigInteger(), nullable=True, comment="in quarantine: no link is tried before"),
        sa.Column(
            "counted_from",
            sa.BigInteger(),
            nullable=False,
            comment="refusals before do not count: an operator dealt with them",
        ),
        sa.Column(
            "given_up_before",
            sa.BigInteger(),
            nullable=True,
            comment="links with tokens from before are given up when they are refused",
        ),
        sa.CheckConstraint("(quarantined_at IS NULL) = (probe_at IS NULL)", name=op.f("ck_provider_state_quarantine")),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("pk_provider_state")),
        comment="Providers that refused too many links at once, so that nothing is believed of their refusals",
    )


def downgrade() -> None:
    op.drop_table("provider_state")
    op.drop_index(op.f("ix_audit_event_provider_id_action_at"), table_name="audit_event")
    op.drop_index("ix_link_due", table_name="link")
    with op.batch_alter_table("link") as batch:
        batch.drop_column("grant_version")
        batch.drop_column("due_at")
        batch.drop_column("doubt")
