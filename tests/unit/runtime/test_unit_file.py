# SPDX-License-Identifier: Apache-2.0
"""examples/fastpath.service: systemd accepts it, and it agrees with the rest."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from fastpath.control.cli.main import main
from fastpath.control.runtime.paths import SOCKET, STATE_DIR

UNIT = Path(__file__).parents[3] / "examples" / "fastpath.service"

# Each puts a service into a mount namespace of its own (systemd.exec(5)); the unit says why it must not be in one.
MOUNT_NAMESPACE = (
    r"Protect(System|Home|Proc|ControlGroups|Kernel\w+)|Private(Tmp|Devices|Mounts|IPC)|ProcSubset|MountFlags|"
    r"(ReadWrite|ReadOnly|Inaccessible|Exec|NoExec|Bind|BindReadOnly)Paths|TemporaryFileSystem|Root\w+|MountAPIVFS"
)


def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # our sanitizers
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    about_us = [line for line in (done.stdout + done.stderr).splitlines() if UNIT.name in line]
    assert (about_us, done.returncode) == ([], 0)


def test_no_mount_namespace() -> None:
    assert re.findall(rf"(?m)^(?:{MOUNT_NAMESPACE})=.*", UNIT.read_text()) == []


def test_its_command_and_directories_are_ours() -> None:
    text = UNIT.read_text()
    words = re.search(r"(?m)^ExecStart=/opt/fastpath/bin/fastpath (.*)$", text)
    assert words is not None
    assert CliRunner().invoke(main, [*words[1].split(), "--help"]).exit_code == 0
    assert f"/run/{re.findall(r'(?m)^RuntimeDirectory=(.*)$', text)[0]}" == str(SOCKET.parent)
    assert f"/var/lib/{re.findall(r'(?m)^StateDirectory=(.*)$', text)[0]}" == str(STATE_DIR)


def test_iptables_of_the_legacy_kind_may_open_its_raw_socket() -> None:
    capabilities = re.search(r"(?m)^CapabilityBoundingSet=(.*)$", UNIT.read_text())
    assert capabilities is not None
    assert {"CAP_NET_ADMIN", "CAP_NET_RAW"} <= set(capabilities[1].split())
