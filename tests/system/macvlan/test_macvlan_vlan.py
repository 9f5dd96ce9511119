# SPDX-License-Identifier: Apache-2.0
"""VLAN sub-interfaces, dummies and VRFs, for real, in a kernel that has them: tests/uml in user-mode Linux."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from tests.support.servers import user_mode

MODULES = ["ipv6", "8021q", "dummy", "macvlan", "veth", "bridge", "tun", "vrf"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which is root in user-mode Linux then: sudo ./run test")
@pytest.mark.skipif(user_mode.missing() is not None, reason=user_mode.missing() or "")
def test_in_a_kernel_that_has_vlans_and_dummies(tmp_path: Path) -> None:
    # pytest prepares the asserts of what it imports, and keeps that beside the file. There it could keep nothing.
    for file in Path("tests/uml").glob("test_*.py"):
        importlib.import_module(f"tests.uml.{file.stem}")
    command = [
        "env",  # other plugins would be made ready for asserts, without a cache: it takes half a minute there
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1",
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "pytest_timeout",
        "-q",
        "-ra",
        "--color=no",
        "--durations=20",
        "-p",
        "no:cacheprovider",
        "tests/uml",
    ]
    status, output = user_mode.run(command, MODULES, tmp_path, 500)
    assert status == 0, output[-20000:]
    assert " passed" in output
    assert "skipped" not in output
