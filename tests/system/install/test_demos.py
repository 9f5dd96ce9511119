# SPDX-License-Identifier: Apache-2.0
"""The demos, as `./run demo` starts them: they get to their end, and leave nothing behind."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.hosts.hosts import namespaces

ROOT = Path(__file__).resolve().parents[3]
DEMOS = ["device.sh", "overlay.sh", "overlay.sh --store etcd", "docker.sh"]
LIMIT_S = 600
ENVIRONMENT = os.environ | {"FASTPATH_DEMO_MEGABYTES": "32"}

pytestmark = pytest.mark.slow


@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.parametrize("words", DEMOS)
def test_a_demo_gets_to_its_end_and_leaves_nothing(words: str) -> None:
    script, *more = words.split()
    command = [str(ROOT / "examples" / "demo" / script), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "everything is removed again" in done.stdout
    assert not [name for name in namespaces() if "fpdemo-" in name]
    assert not Path("/tmp/fpdemo").exists()  # noqa: S108  # the demos' own
    assert "/tmp/fpdemo" not in Path("/proc/self/mounts").read_text()  # noqa: S108  # as above
