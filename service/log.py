"""Logs: one JSON object a line on standard error, whoever wrote it, with secrets-looking keys and addresses of archives masked."""

from __future__ import annotations

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from service.domain.diff import looks_secret

_CAPABILITY = re.compile(r"(/archives/)[^/\s\"']+")


def configure_log(level: int = logging.INFO) -> None:
    """For structlog and for the standard library's loggers (flask, granian, apscheduler) alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        _mask,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for quiet in ("alembic", "apscheduler", "httpcore", "httpx"):  # the last two log whole URLs, which may be secrets
        logging.getLogger(quiet).setLevel(logging.WARNING)


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: "***" if looks_secret(key) and value else _without_capability(value) for key, value in event.items()}


def _without_capability(value: object) -> object:
    """Whoever knows the address of an archive may read it."""
    return _CAPABILITY.sub(r"\1***", value) if isinstance(value, str) else value
