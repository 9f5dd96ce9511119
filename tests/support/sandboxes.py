# SPDX-License-Identifier: Apache-2.0
"""Questions about sandboxes."""

from fastpath.control.kernel.visit import Visits
from fastpath.control.model.objects import Sandbox


def is_alive(sandbox: Sandbox) -> bool:
    """Return whether a pass that begins now finds the sandbox."""
    with Visits() as visits:
        return visits.is_alive(sandbox)
