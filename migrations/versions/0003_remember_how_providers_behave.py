"""Remember how providers behave.

Instants are milliseconds since 1970-01-01 UTC.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_seen",
        sa.Column("provider_id", sa.String(length=32), nullable=False),
        sa.Column("fact", sa.String(length=32), nullable=False, comment="what was seen, by our name"),
        sa.Column(
            "value", sa.String(length=32), nullable=False, comment="how it was; several values may have been seen"
        ),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider_id", "fact", "value", name=op.f("pk_provider_seen")),
        comment="What providers' answers taught about their ways; rows are only added",
    )


def downgrade() -> None:
    op.drop_table("provider_seen")
