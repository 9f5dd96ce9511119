# SPDX-License-Identifier: Apache-2.0
"""The daemon's log, on stderr: text for people and for journald, or one JSON object a line."""

import copy
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from fastpath.text import json_printable, printable

# syslog's numbers, which journald takes from "<N>" at the beginning of a line (sd-daemon(3)).
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


class _Printable(logging.Formatter):
    """Escapes what a terminal would obey instead of showing it, and line ends, which would make other records: names
    from the store, from Docker or from containers are in messages and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        record = copy.copy(record)
        record.msg, record.args = printable(record.getMessage()), None
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name
        """Return the traceback, in lines that are indented: none looks like the beginning of a record."""
        return "\n".join(f"  {printable(line)}" for line in super().formatException(ei).split("\n"))


class JournalFormatter(_Printable):
    """Text with the priority in front of every line, and without the time, which journald adds."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as lines of the journal."""
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class TextFormatter(_Printable):
    """Text with time, for terminals and files."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")


def _json_formatter() -> logging.Formatter:
    """Return a formatter with time, level, logger, message, the fields of `extra`, and exc_info."""
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415  # 6 ms in the gap of a restart, for JSON only

    class Formatter(JsonFormatter):
        def format(self, record: logging.LogRecord) -> str:
            """Return the record as JSON. A program that reads it gets the text as it was."""
            return json_printable(super().format(record))

        converter = staticmethod(time.gmtime)
        default_time_format = TextFormatter.default_time_format
        default_msec_format = TextFormatter.default_msec_format

    return Formatter(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        json_ensure_ascii=False,
    )


def goes_to_journal(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether stderr is connected to journald, which says so in JOURNAL_STREAM (systemd.exec(5))."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def set_up_logs(log_format: str, log_level: str) -> None:
    """Log fastpath's records from `log_level` up, and those of other libraries from warnings up, in the given format.
    A second call replaces the first one's setup."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(_json_formatter())
    else:
        handler.setFormatter(JournalFormatter() if goes_to_journal() else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[log_level.upper()]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("fastpath").setLevel(level)
    logging.captureWarnings(True)
