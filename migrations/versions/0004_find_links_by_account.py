"""Find links by account, whoever's they are; count the open attempts of programs.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BEFORE = "HMAC of the browser session's key; NULL: begun by a program"
SINCE = "HMAC of whose open attempts these are: a session's, or a program's"


def upgrade() -> None:
    op.create_index(op.f("ix_link_issuer_subject"), "link", ["issuer", "subject"], unique=False)
    _comment(SINCE, instead_of=BEFORE)


def downgrade() -> None:
    _comment(BEFORE, instead_of=SINCE)
    op.drop_index(op.f("ix_link_issuer_subject"), table_name="link")


def _comment(text: str, *, instead_of: str) -> None:
    if op.get_context().dialect.supports_comments:
        op.alter_column(
            "link_attempt",
            "session_hash",
            comment=text,
            existing_comment=instead_of,
            existing_type=sa.LargeBinary(),
            existing_nullable=True,
        )
