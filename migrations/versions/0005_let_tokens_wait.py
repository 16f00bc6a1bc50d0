"""Let tokens wait for a person's word.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "link_waiting",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("session_hash", sa.LargeBinary(), nullable=False, comment="HMAC of the browser session's key"),
        sa.Column("provider_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False, comment="the client the tokens were issued to"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="account, tokens, return address and the rest"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_link_waiting_user_id_user_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_waiting")),
        comment="Tokens of another account than the linked ones, until the person says what is meant",
    )
    for column in ("user_id", "expires_at"):
        op.create_index(op.f(f"ix_link_waiting_{column}"), "link_waiting", [column], unique=False)


def downgrade() -> None:
    op.drop_table("link_waiting")
