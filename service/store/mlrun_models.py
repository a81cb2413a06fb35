"""The tables of what is in an MLRun: `models` has the others, and what holds for all."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, String, Table, Text

from service.store.metadata import metadata

# What was last saved into MLRun of a project, as it was read back.
saved = Table(
    "saved",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("revision", String(32), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("saved", Text, nullable=False),
    Column("at", Float, nullable=False),
)

# A save into MLRun that has begun and not ended: MLRun may have some of it.
unfinished_saves = Table(
    "unfinished_saves",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("commit", String(64), nullable=False),
    Column("api", Text, nullable=False),
    Column("by", Text, nullable=False),  # the claim under which it was noted last
    Column("writes", Text, nullable=False),
    Column("at", Float, nullable=False),
)

# An image that MLRun builds for a project: one for all runs that need it.
image_builds = Table(
    "image_builds",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("key", String(16), primary_key=True),  # of what is in it
    Column("build", Text, nullable=False),  # JSON: what is in it
    Column("api", Text, nullable=False),  # the address of the MLRun that builds it
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False, default=""),  # how it stands, or why it failed
    Column("image", Text),  # its whole name, once it is there
    Column("log", Text, nullable=False, default=""),  # the end of what the builder printed
    Column("log_size", BigInteger, nullable=False, default=0),  # bytes that were read of it
    Column("tries", Integer, nullable=False, default=0),  # how often MLRun was asked for it in this round
    Column("queued_at", Float, nullable=False),
    Column("begun_at", Float),
    Column("ended_at", Float),
    Column("leftover", Boolean, nullable=False, default=False),  # whether the builder's function may be in MLRun
)
