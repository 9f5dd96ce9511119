# SPDX-License-Identifier: Apache-2.0
"""An etcd server on the underlay of a benchmark."""

import contextlib
import http.client
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fastpath.bench.common.namespaces import Namespace, wait_for

ADDRESS, PORT = "192.0.2.100", 2379


@contextlib.contextmanager
def etcd(where: Namespace, folder: Path, *more: str) -> Iterator[str]:
    """Run a server with its data in `folder`. Yield its URL when it answers."""
    client, own = f"http://{ADDRESS}:{PORT}", "http://127.0.0.1:2380"
    command = ["etcd", "--name", "one", "--data-dir", str(folder / "etcd"), "--log-level=warn"]
    command += ["--listen-client-urls", client, "--advertise-client-urls", client]
    command += ["--listen-peer-urls", own, "--initial-advertise-peer-urls", own, "--initial-cluster", f"one={own}"]
    command += more
    with (folder / "etcd.log").open("ab") as log:
        process = subprocess.Popen(
            ["ip", "netns", "exec", where.name, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: where.inside(_healthy), "etcd answers")
        yield f"etcd://{ADDRESS}:{PORT}"
    finally:
        process.kill()
        process.wait()


def _healthy() -> bool:
    connection = http.client.HTTPConnection(ADDRESS, PORT, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    return False
