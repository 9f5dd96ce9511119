# SPDX-License-Identifier: Apache-2.0
"""`fastpath daemon`: words and file → the configuration that the daemon is run with."""

import sys
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from fastpath.control.cli.main import main
from fastpath.control.runtime.config import DaemonConfig
from fastpath.errors import RefusedError


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> list[DaemonConfig]:
    """What a daemon that does nothing was run with."""
    found: list[DaemonConfig] = []
    stub = types.ModuleType("fastpath.control.daemon.main")
    stub.__dict__["run"] = found.append
    monkeypatch.setitem(sys.modules, "fastpath.control.daemon.main", stub)
    monkeypatch.delenv("FASTPATH_SOCKET", raising=False)
    return found


def test_without_words_all_is_as_the_example_says(configs: list[DaemonConfig]) -> None:
    result = CliRunner().invoke(main, ["daemon"])
    assert (result.exit_code, result.output) == (0, "")
    assert configs == [DaemonConfig()]


def test_words_have_precedence_over_the_file(
    configs: list[DaemonConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.toml").write_text('host = "a"\nvtep = "eth0"\nsocket = "/a"\nlease_ttl = 60\nlog_format = "json"')
    words = (
        "daemon --config f.toml --host b --vtep 192.0.2.1 --store etcd://a:1 --socket d.sock --state-dir state "
        "--metrics [::1]:9100 --log-format text --log-level debug"
    )
    result = CliRunner().invoke(main, words.split())
    assert (result.exit_code, result.output) == (0, "")
    config = configs[0]
    assert (config.host, config.vtep, config.store_url) == ("b", "192.0.2.1", "etcd://a:1")
    assert (config.socket, config.state_dir) == (tmp_path / "d.sock", tmp_path / "state")
    assert (config.metrics, config.log_format, config.log_level) == (("::1", 9100), "text", "debug")
    assert config.lease_ttl == 60


def test_the_environment_names_the_socket(configs: list[DaemonConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTPATH_SOCKET", "/tmp/d.sock")  # noqa: S108
    CliRunner().invoke(main, ["daemon"])
    assert configs[0].socket == Path("/tmp/d.sock")  # noqa: S108


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--config /none/f.toml", "cannot read /none/f.toml: No such file or directory"),
        ("--vtep a/b", '--vtep: "a/b" cannot be an interface name: '),
        ("--store redis://x", 'invalid --store "redis://x": sqlite:///PATH or etcd://'),
        ("--metrics 9100", 'invalid --metrics "9100": "host:port"'),
        ("--host -", 'invalid --host "-": a name has'),
    ],
)
def test_what_cannot_be_is_one_line(configs: list[DaemonConfig], words: str, line: str) -> None:
    result = CliRunner().invoke(main, ["daemon", *words.split()])
    assert (result.exit_code, result.stdout, configs) == (2, "", [])
    assert result.stderr.startswith(f"fastpath: {line}")
    assert result.stderr.count("\n") == 1


def test_a_daemon_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, configs: list[DaemonConfig]) -> None:
    def run(_: DaemonConfig) -> None:
        raise RefusedError("no VTEP: give --vtep")

    monkeypatch.setattr(sys.modules["fastpath.control.daemon.main"], "run", run)
    result = CliRunner().invoke(main, ["daemon"])
    assert (result.exit_code, result.stderr) == (2, "fastpath: no VTEP: give --vtep\n")
