# SPDX-License-Identifier: Apache-2.0
"""An overlay of one's own, laid by a script."""

from pathlib import Path

from fastpath.bench.e2e.names import Contestant
from fastpath.bench.e2e.sites.site import DEVICE, OVERLAY_MTU, Site
from fastpath.errors import RefusedError


def lay(site: Site, contestant: Contestant) -> None:
    """Run the script once for each host, in its network namespace, with what it has to know in its environment; it
    leaves DEVICE in the container. What it starts there ends with the host. Raise RefusedError if it fails."""
    assert contestant.words is not None
    file = Path(contestant.words).absolute()
    for number, host, container in site.sides:
        folder = site.scratch / f"script{number}"
        folder.mkdir()
        told = {
            "NUMBER": str(number),
            "LOCAL": f"192.0.2.{number}",
            "REMOTE": f"192.0.2.{3 - number}",
            "UNDERLAY": "u0",
            "CONTAINER": container.name,
            "DEVICE": DEVICE,
            "MTU": str(OVERLAY_MTU),
            "FOLDER": str(folder),
        }
        output = folder / "output"
        words = ["env", *(f"{key}={value}" for key, value in told.items()), "sh", "-c", 'exec "$0" >"$1" 2>&1']
        # into a file: what the script leaves running would keep a pipe open
        if host.run(*words, str(file), str(output), check=False).returncode != 0:
            said = output.read_text().strip().splitlines() if output.exists() else []
            raise RefusedError(f"{contestant} failed on host {number}: {said[-1] if said else 'without a word'}")
        if DEVICE not in container.links():
            raise RefusedError(f"{contestant} left no {DEVICE} in {container.name}")
