"""Tell strays apart: tokens to be revoked that no link was made of, by a kind of their own.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KIND = "revoke: a token of a link; stray: of a linking that failed"
BEFORE, AFTER = "kind IN ('revoke', 'notify')", "kind IN ('revoke', 'stray')"


def upgrade() -> None:
    change_kinds(BEFORE, AFTER, KIND)
    rows = outbox(AFTER)
    # So far no link was removed while something was owed for it.
    op.execute(rows.update().where(rows.c.link_id.is_(None)).values(kind="stray"))


def downgrade() -> None:
    op.execute(outbox(AFTER).update().values(kind="revoke"))
    change_kinds(AFTER, BEFORE, None)


def change_kinds(before: str, after: str, comment: str | None) -> None:
    with op.batch_alter_table("outbox", copy_from=outbox(before)) as batch:
        batch.drop_constraint(op.f("ck_outbox_kind"), type_="check")
        batch.create_check_constraint(op.f("ck_outbox_kind"), after)
        batch.alter_column("kind", existing_type=sa.String(length=16), existing_nullable=False, comment=comment)


def outbox(kinds: str) -> sa.Table:
    """The table as it is; SQLite has to make it anew, and does not tell its checks."""
    return sa.Table(
        "outbox",
        sa.MetaData(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("provider_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("give_up_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(kinds, name="ck_outbox_kind"),
        sa.CheckConstraint("attempts >= 0", name="ck_outbox_attempts"),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name="fk_outbox_link_id_link", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.Index("ix_outbox_link_id", "link_id"),
        sa.Index("ix_outbox_next_try_at", "next_try_at"),
    )
