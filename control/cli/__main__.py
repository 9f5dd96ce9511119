# SPDX-License-Identifier: Apache-2.0
"""The entry point. Ctrl-C while it loads ends it quietly, as it ends any program."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)

from fastpath.control.cli.main import main  # noqa: E402  # below the signal, because it takes a while

__all__ = ["main"]
