"""Keep the logins

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "login",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "sid", sa.Text(), nullable=True, comment="the login provider's name of the login, by which it may end it"
        ),
        sa.Column("agent", sa.Text(), nullable=True, comment="browser and system in a few words, for display"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False, comment="to the minute"),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_login_user_id_user_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login")),
        comment="Browsers that are logged in; a session without its row here is nobody's",
    )
    for column in ("user_id", "sid", "expires_at"):
        op.create_index(op.f(f"ix_login_{column}"), "login", [column], unique=False)
    op.create_table(
        "logout_notice",
        sa.Column("id", sa.LargeBinary(), nullable=False, comment="hash of issuer and jti"),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logout_notice")),
        comment="Logout tokens that came, so that none counts twice",
    )
    op.create_index(op.f("ix_logout_notice_expires_at"), "logout_notice", ["expires_at"], unique=False)
    op.create_index(
        "ix_user_account_disabled",
        "user_account",
        ["disabled_at"],
        unique=False,
        sqlite_where=sa.text("disabled_at IS NOT NULL"),
        postgresql_where=sa.text("disabled_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_user_account_disabled", "user_account")
    op.drop_table("logout_notice")
    op.drop_table("login")
