# SPDX-License-Identifier: Apache-2.0
"""The default paths of the daemon."""

from pathlib import Path

SOCKET = Path("/run/fastpath/daemon.sock")
STATE_DIR = Path("/var/lib/fastpath")
