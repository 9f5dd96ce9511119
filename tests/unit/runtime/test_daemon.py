# SPDX-License-Identifier: Apache-2.0
"""How the daemon is put together."""

import subprocess
import sys

LATE = (
    "aiohttp",
    "prometheus_client",
    "grpc",
    "aetcd",
    "dns",
    "fastpath.control.docker",
    "fastpath.control.api.routes",
)


def test_the_data_plane_loads_nothing_that_frames_do_not_need() -> None:
    """Loading is in the gap of a restart."""
    code = f"import fastpath.control.daemon.main, sys; print(*[m for m in {LATE!r} if m in sys.modules])"
    took = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert took.stdout.split() == []
    code = f"import fastpath.control.daemon.services, sys; print(*[m for m in {LATE!r} if m in sys.modules])"
    took = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert {"aiohttp", "prometheus_client", "fastpath.control.docker"} <= set(took.stdout.split())
    assert not {"grpc", "dns"} & set(took.stdout.split())  # for those who use etcd, or the resolvers
