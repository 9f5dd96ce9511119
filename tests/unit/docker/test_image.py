# SPDX-License-Identifier: Apache-2.0
"""packaging/: what the Dockerfile copies exists and is all that the build needs, and its command is ours; the managed
plugin's settings are those of the daemon."""

import json
import re
from pathlib import Path

from click.testing import CliRunner

from fastpath.control.cli.main import main
from fastpath.control.docker.plugin_server import OVERLAY
from fastpath.control.runtime.paths import SOCKET, STATE_DIR

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "packaging" / "Dockerfile").read_text()


def copied() -> list[str]:
    """What is copied from the source tree."""
    lines = re.findall(r"(?m)^COPY (?!--from)(.*)$", DOCKERFILE)
    return [source for line in lines for source in line.split()[:-1]]


def test_what_it_copies_exists() -> None:
    assert copied()
    assert [source for source in copied() if not (ROOT / source).exists()] == []


def test_it_copies_what_the_package_is_made_of() -> None:
    manifest = (ROOT / "MANIFEST.in").read_text()
    named = set(re.findall(r"(?m)^(?:graft|recursive-include|include) (\S+)", manifest))
    named |= set(re.findall(r"(?m)^include \S+ (\S+)", manifest))
    named = {name for name in named if (ROOT / name).suffix or not name.startswith("examples/")}  # which are to read
    assert {*named, "control", "setup.py", "pyproject.toml", "README.md", "LICENSE"} - set(copied()) == set()


def test_its_command_is_ours() -> None:
    entry, command = (json.loads(re.findall(rf"(?m)^{word} (.*)$", DOCKERFILE)[0]) for word in ("ENTRYPOINT", "CMD"))
    assert entry == ["fastpath"]
    assert CliRunner().invoke(main, [*command, "--help"]).exit_code == 0


# https://docs.docker.com/engine/extend/config/
FIELDS = {"description", "documentation", "interface", "entrypoint", "workdir", "user", "network", "mounts", "ipchost"}
FIELDS |= {"pidhost", "propagatedMount", "env", "args", "linux"}


def test_the_managed_plugin_is_what_the_daemon_is() -> None:
    config = json.loads((ROOT / "packaging" / "docker-plugin" / "config.json").read_text())
    assert config.keys() <= FIELDS
    assert config["interface"] == {
        "types": ["docker.networkdriver/1.0", "docker.ipamdriver/1.0"],
        "socket": f"{OVERLAY}.sock",
    }
    assert (config["entrypoint"], config["network"]) == (["fastpath", "daemon"], {"type": "host"})
    unit = (ROOT / "examples" / "fastpath.service").read_text()
    assert f"CapabilityBoundingSet={' '.join(config['linux']['capabilities'])}\n" in unit
    for mount in config["mounts"]:
        assert mount.keys() == {"name", "description", "type", "source", "destination", "options", "settable"}
    places = {mount["name"]: mount["destination"] for mount in config["mounts"]}
    assert places["state"] == str(STATE_DIR)
    assert places["control"] == str(SOCKET.parent)
    assert places["sysctls"] == next(each["value"] for each in config["env"] if each["name"] == "FASTPATH_PROC_SYS")
    words = [*config["args"]["value"], "--vtep", "192.0.2.1"]
    result = CliRunner().invoke(main, ["daemon", *words, "--socket", "/nowhere/there/x", "--help"])
    assert result.exit_code == 0
