"""Older releases know what works."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    made = op.create_table(
        "structure",
        sa.Column("oldest", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("oldest", name=op.f("pk_structure")),
    )
    op.bulk_insert(made, [{"oldest": "0.1.0"}])
