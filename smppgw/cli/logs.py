"""How the gateway logs: apart, since structlog takes 60 ms that most commands do not need."""

import os
import sys
from typing import Any

import structlog


def set_up_logs(*, quiet: bool = False) -> None:
    """Send logs to standard error: for people on a terminal, else one JSON object a line.

    Args:
        quiet: only what is wrong.
    """
    terminal = sys.stderr.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR"))
        if terminal
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not terminal),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(40 if quiet else 20),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
