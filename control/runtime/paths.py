# SPDX-License-Identifier: Apache-2.0
"""Where the daemon is found, unless it is told otherwise."""

from pathlib import Path

SOCKET = Path("/run/fastpath/daemon.sock")
STATE_DIR = Path("/var/lib/fastpath")
