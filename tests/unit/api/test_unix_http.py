# SPDX-License-Identifier: Apache-2.0
"""Errors of a control socket are reported in one line."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastpath.control.api.client import DaemonClient
from fastpath.control.api.unix_http import AbsentError, UnixClient
from fastpath.control.device.client import Client
from fastpath.control.model.requests import EndpointCreate, NetworkCreate
from fastpath.errors import ConflictError, FastpathError, RefusedError, UsageError
from tests.support.control import fake_daemon as fake
from tests.support.control.fake_daemon import FakeDaemon

NOBODY = 65534


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with fake.fake_daemon(tmp_path / "d.sock") as running:
        yield running


def answer_with(path: Path, answer: bytes) -> Callable[[], None]:
    """Somebody who listens on `path`, and answers the first caller so; the result waits for the end of it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as caller:
            caller.recv(65536)
            caller.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread.join


def test_every_route_is_typed(daemon: FakeDaemon) -> None:
    client = DaemonClient(daemon.path)
    assert client.status() == fake.STATUS
    assert [info.network for info in client.networks()] == [fake.BLUE, fake.LAN]
    assert client.network("blue") == fake.DETAIL
    assert client.create_network(NetworkCreate(name="blue")).network == fake.BLUE
    client.remove_network("blue")
    assert client.endpoints() == [fake.ENDPOINT, fake.LEAVING]
    assert client.endpoints("blue") == [fake.ENDPOINT, fake.LEAVING]
    assert client.create_endpoint(EndpointCreate(network="blue", sandbox="c1")) == fake.ENDPOINT
    client.remove_endpoint("1f0c")
    assert client.peers() == list(fake.PEERS)
    assert client.fdb("blue") == list(fake.FDB)
    assert client.stats() == fake.STATS.as_dict()
    assert [(method, path) for method, path, _ in daemon.asked] == [
        ("GET", "/v1/status"),
        ("GET", "/v1/networks"),
        ("GET", "/v1/networks/blue"),
        ("POST", "/v1/networks"),
        ("DELETE", "/v1/networks/blue"),
        ("GET", "/v1/endpoints"),
        ("GET", "/v1/endpoints?network=blue"),
        ("POST", "/v1/endpoints"),
        ("DELETE", "/v1/endpoints/1f0c"),
        ("GET", "/v1/peers"),
        ("GET", "/v1/fdb?network=blue"),
        ("GET", "/v1/stats"),
    ]


@pytest.mark.parametrize("name", ["", ".", "..", "..."])
def test_names_that_would_lead_elsewhere_are_not_asked_for(daemon: FakeDaemon, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        DaemonClient(daemon.path).network(name)
    assert daemon.asked == []


@pytest.mark.parametrize("name", ["a/b", "a?b", "a b", "a%2e", "a\nb", "ü", "a#b"])
def test_names_with_odd_letters_stay_one_part_of_the_path(daemon: FakeDaemon, name: str) -> None:
    with pytest.raises(UsageError, match="the fake has no GET /v1/networks/"):
        DaemonClient(daemon.path).network(name)
    assert len(daemon.asked) == 1
    assert daemon.asked[0][1].count("/") == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, UsageError), (404, UsageError), (409, ConflictError), (500, RefusedError), (503, RefusedError)],
)
def test_an_error_is_told_in_the_daemon_s_words(daemon: FakeDaemon, status: int, kind: type[FastpathError]) -> None:
    daemon.refuse("GET /v1/status", status, "so it is")
    with pytest.raises(kind, match=r"^so it is$"):
        DaemonClient(daemon.path).status()


def test_errors_of_somebody_else_are_no_words_of_the_daemon(daemon: FakeDaemon) -> None:
    values: list[object] = ["<html>", {}, {"error": 3}, []]
    for value in values:
        daemon.answers["GET /v1/status"] = (404, value)
        with pytest.raises(RefusedError, match=r"^the fastpath daemon answered 404 \(Not Found\): is it of another"):
            DaemonClient(daemon.path).status()


def test_answers_of_another_version_are_one_line(daemon: FakeDaemon) -> None:
    client = DaemonClient(daemon.path)
    daemon.answers["GET /v1/status"] = (200, fake.STATUS.model_dump(mode="json") | {"mood": "good"})
    with pytest.raises(RefusedError, match=r"\(mood: extra inputs are not permitted\): is it of another version\?$"):
        client.status()
    daemon.answers["GET /v1/peers"] = (200, {"a": 1})
    with pytest.raises(RefusedError, match=r"is it of another version\?$"):
        client.peers()
    daemon.answers["GET /v1/stats"] = (200, "no json")
    with pytest.raises(RefusedError, match=r"^the fastpath daemon answered with something that is not JSON$"):
        client.stats()


def test_nobody_listens(tmp_path: Path) -> None:
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(stale))
    for path in (tmp_path / "none.sock", stale, stale / "below"):
        with pytest.raises(AbsentError) as caught:
            DaemonClient(path).status()
        assert str(caught.value) == f"no fastpath daemon answers on {path}: start it with `fastpath daemon`"


def test_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTPATH_RUN_DIR", str(tmp_path))
    with pytest.raises(AbsentError, match=r"^no fastpath device named vx0 runs here: see `fastpath vxlan show`$"):
        Client("vx0").show()


def test_no_permission(daemon: FakeDaemon) -> None:
    daemon.path.chmod(0)
    own = os.geteuid()
    if own == 0:  # who may open everything
        os.seteuid(NOBODY)
    try:
        with pytest.raises(RefusedError, match=f"^no permission to open {daemon.path}: run as root$"):
            DaemonClient(daemon.path).status()
    finally:
        os.seteuid(own)


def test_no_permission_as_the_system_says_it(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fastpath.control.api.unix_http._Connection.connect", connect)
    with pytest.raises(RefusedError, match=f"^no permission to open {daemon.path}: run as root$"):
        DaemonClient(daemon.path).status()


def test_no_answer_in_time(daemon: FakeDaemon) -> None:
    daemon.silent = True
    with pytest.raises(RefusedError, match=r"^the fastpath daemon does not answer within 0\.1 s: see what its process"):
        DaemonClient(daemon.path).call("GET", "/v1/status", timeout=0.1)


def test_nobody_accepts(tmp_path: Path) -> None:
    path = tmp_path / "full.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        with pytest.raises(RefusedError, match="does not answer within"):
            UnixClient(path, who="it", absent="").call("GET", "/", timeout=0.1)


def test_it_ends_while_it_answers(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"):
        wait = answer_with(path, answer)
        with pytest.raises(RefusedError, match=r"^it did not answer on .*: "):
            UnixClient(path, who="it", absent="").call("GET", "/")
        wait()
        path.unlink()


def test_somebody_else_listens(tmp_path: Path) -> None:
    wait = answer_with(tmp_path / "d.sock", b"220 mail.example ESMTP\r\n")
    with pytest.raises(RefusedError, match=r"^what listens on .* is not it: it does not speak HTTP$"):
        UnixClient(tmp_path / "d.sock", who="it", absent="").call("GET", "/")
    wait()


def test_a_path_that_no_socket_can_have(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"^the fastpath daemon did not answer on .*: AF_UNIX path too long$"):
        DaemonClient(tmp_path / ("x" * 120)).status()


def test_names_of_other_alphabets_arrive(daemon: FakeDaemon) -> None:
    client = DaemonClient(daemon.path)
    client.create_endpoint(EndpointCreate(network="blue", sandbox="/run/netns/büro", name="日本"))
    body = daemon.asked[-1][2]
    assert (body["sandbox"], body["name"]) == ("/run/netns/büro", "日本")


def test_bytes_that_are_no_text_are_one_line(daemon: FakeDaemon) -> None:
    client = DaemonClient(daemon.path)
    odd = os.fsdecode(b"\xff\xfe")
    with pytest.raises(UsageError, match="takes UTF-8 only"):
        client.create_endpoint(EndpointCreate(network="blue", sandbox=odd))
    client.endpoints(odd)
    with pytest.raises(UsageError, match="the fake has no"):
        client.network(odd)
