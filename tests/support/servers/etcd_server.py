# SPDX-License-Identifier: Apache-2.0
"""etcd, Debian's own, for tests: on loopback, on ports that are free, with its data in a folder of the test's.

    with Etcd(tmp_path) as etcd:
        store = open_store(etcd.url)

It can be stopped, killed and started again on the same data and ports, wiped, and compacted, with TLS and with users.
Only the process that was started here is ever stopped; it ends with this one in any case.
"""

import base64
import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from fastpath.control.store.etcd import calls
from tests.support import pausing
from tests.support.hosts.hosts import Namespace, wait_for
from tests.support.ports import free_tcp_port
from tests.support.servers.certificates import Certificates

START_SECONDS = 60.0
# It is killed when the thread ends that starts it: start it in the main thread.
WITH_US = ("setpriv", "--pdeathsig", "KILL")


@dataclass(frozen=True)
class Place:
    """Where a member of a cluster is."""

    name: str
    client_port: int
    peer_port: int


class Etcd:
    """One member. `peers` names all of a cluster, this one too; `host` is an address or a name of loopback, or, with
    `within`, an address of the namespace that it runs in."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        tls: Certificates | None = None,
        place: Place | None = None,
        peers: Sequence[Place] = (),
        arguments: Sequence[str] = (),
        within: Namespace | None = None,
    ):
        self.host, self.tls, self._within = host, tls, within
        loopback = "::1" if ":" in host else "127.0.0.1"
        self.place = place or Place("one", free_tcp_port(loopback), free_tcp_port(loopback))
        self.data = folder / f"etcd-{self.place.name}"
        self._peers = peers or [self.place]
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / f"etcd-{self.place.name}.log"

    @property
    def address(self) -> str:
        """HOST:PORT"""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.place.client_port}"

    @property
    def url(self) -> str:
        """For open_store."""
        return f"etcd://{self.address}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    def launch(self) -> None:
        """Start it on the data that it has, and don't wait."""
        assert self._process is None, "it runs"
        scheme = "https" if self.tls else "http"
        own = f"http://127.0.0.1:{self.place.peer_port}"
        command = [
            *WITH_US,
            *(("ip", "netns", "exec", self._within.name) if self._within is not None else ()),
            *("etcd", "--name", self.place.name, "--data-dir", str(self.data), "--logger=zap", "--log-level=warn"),
            *(
                "--listen-client-urls",
                f"{scheme}://{self._listen()}",
                "--advertise-client-urls",
                f"{scheme}://{self.address}",
            ),
            *("--listen-peer-urls", own, "--initial-advertise-peer-urls", own),
            *("--initial-cluster", ",".join(f"{peer.name}=http://127.0.0.1:{peer.peer_port}" for peer in self._peers)),
            *("--heartbeat-interval=50", "--election-timeout=500", *self._arguments),
        ]
        if self.tls:
            command += ["--cert-file", str(self.tls.server_cert), "--key-file", str(self.tls.server_key)]
            command += ["--client-cert-auth", "--trusted-ca-file", str(self.tls.ca)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self) -> None:
        """Start it on the data that it has, and wait until it answers."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until it answers; it has a leader then."""
        end = time.monotonic() + START_SECONDS
        while True:
            assert self._process is not None, "it was not started"
            assert self._process.poll() is None, f"etcd ended: {self._log.read_text()}"
            with contextlib.suppress(OSError):
                if self.ask("/health", None) == {"health": "true"}:
                    return
            assert time.monotonic() < end, f"etcd does not answer: {self._log.read_text()}"
            time.sleep(0.05)

    def wait_for_port(self) -> None:
        """Wait until it listens, whoever it answers."""
        wait_for(self._listens, f"{self.address} takes connections", START_SECONDS)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.place.client_port), 5):
            return True
        return False

    def stop(self) -> None:
        """End it as an administrator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """It keeps its connections, and does nothing any more."""
        assert self._process is not None
        pausing.pause(self._process.pid)

    def resume(self) -> None:
        """Undo `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Delete its data; it must not run."""
        assert self._process is None, "it runs"
        shutil.rmtree(self.data)

    def ask(self, path: str, request: dict[str, object] | None, token: str | None = None) -> dict[str, Any]:
        """A question to its JSON gateway, so that these tests don't depend on what they test."""
        if self._within is not None:
            return self._within.inside(lambda: self._ask(path, request, token))
        return self._ask(path, request, token)

    def _ask(self, path: str, request: dict[str, object] | None, token: str | None) -> dict[str, Any]:
        headers = {"Authorization": token} if token else {}
        body = json.dumps(request).encode() if request is not None else None
        scheme, context = ("https", self.tls.context()) if self.tls else ("http", None)
        question = urllib.request.Request(f"{scheme}://{self.address}{path}", body, headers)  # noqa: S310 – it is loopback
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context or ssl.create_default_context()),
        )
        with opener.open(question, timeout=5) as answer:
            return dict(json.load(answer))

    def put(self, key: str, value: bytes, token: str | None = None) -> int:
        """Its revision."""
        answer = self.ask("/v3/kv/put", {"key": _b64(key), "value": base64.b64encode(value).decode()}, token)
        return int(answer["header"]["revision"])

    def delete(self, key: str) -> None:
        """It is gone then."""
        self.ask("/v3/kv/deleterange", {"key": _b64(key)})

    def revision(self, key: str) -> int:
        """When the key was put last; 0 where there is none."""
        found = self.ask("/v3/kv/range", {"key": _b64(key)}).get("kvs", ())
        return int(found[0]["mod_revision"]) if found else 0

    @property
    def runs(self) -> bool:
        """Whether it was started, and neither stopped nor killed."""
        return self._process is not None

    def count(self, prefix: str) -> int:
        """How many keys begin so."""
        return int(self.ask("/v3/kv/range", {"key": _b64(prefix), "range_end": _after(prefix)}).get("count", 0))

    def items(self, prefix: str) -> dict[str, bytes]:
        """The keys that begin so, with their values."""
        found = self.ask("/v3/kv/range", {"key": _b64(prefix), "range_end": _after(prefix)}).get("kvs", ())
        return {base64.b64decode(each["key"]).decode(): base64.b64decode(each.get("value", "")) for each in found}

    def compact(self) -> int:
        """Forget all revisions before the present one, which is returned."""
        revision = int(self.ask("/v3/kv/range", {"key": _b64("/")})["header"]["revision"])
        self.ask("/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision

    def enable_auth(self, user: str, password: str, prefix: str) -> str:
        """Make root (password "root"), and a user with the right to read and write what begins with `prefix`; then let
        nobody in without. Root's token."""
        self.ask("/v3/auth/user/add", {"name": "root", "password": "root"})
        self.ask("/v3/auth/role/add", {"name": "root"})
        self.ask("/v3/auth/user/grant", {"user": "root", "role": "root"})
        self.ask("/v3/auth/user/add", {"name": user, "password": password})
        self.ask("/v3/auth/role/add", {"name": user})
        self.permit(user, prefix, None)
        self.ask("/v3/auth/user/grant", {"user": user, "role": user})
        self.ask("/v3/auth/enable", {})
        return self.token("root", "root")

    def add_role(self, name: str, grants: Iterable[Sequence[str]], token: str) -> None:
        """Add a role, and a user of that name with the password "secret". `grants` are the words after the role's name
        of `etcdctl role grant-permission`, as in ("--prefix=true", "readwrite", KEY)."""
        self.ask("/v3/auth/user/add", {"name": name, "password": "secret"}, token)
        self.ask("/v3/auth/role/add", {"name": name}, token)
        for *prefix, kind, key in grants:
            span: dict[str, object] = {"key": _b64(key)}
            if prefix:
                span["range_end"] = _after(key)
            self.ask("/v3/auth/role/grant", {"name": name, "perm": {"permType": kind.upper(), **span}}, token)
        self.ask("/v3/auth/user/grant", {"user": name, "role": name}, token)

    def permit(self, role: str, prefix: str, token: str | None, *, allowed: bool = True) -> None:
        """Give the role the right to read and write what begins with `prefix`, or take it away."""
        span: dict[str, object] = {"key": _b64(prefix), "range_end": _after(prefix)}
        if allowed:
            self.ask("/v3/auth/role/grant", {"name": role, "perm": {"permType": "READWRITE", **span}}, token)
        else:
            self.ask("/v3/auth/role/revoke", {"role": role, **span}, token)

    def token(self, user: str, password: str) -> str:
        """What a password is exchanged for."""
        return str(self.ask("/v3/auth/authenticate", {"name": user, "password": password})["token"])

    def _listen(self) -> str:
        host = {"localhost": "127.0.0.1"}.get(self.host, self.host)
        return f"{f'[{host}]' if ':' in host else host}:{self.place.client_port}"

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """The store's calls give up sooner: around those that have to fail."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "CALL_SECONDS", 2.0)
        yield


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """The store's calls give up later: around much that is done once, and not again where its answer is late."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "CALL_SECONDS", 60.0)
        patch.setattr(calls, "ATTEMPT_SECONDS", 60.0)
        yield


@contextlib.contextmanager
def cluster(folder: Path, count: int) -> Iterator[list[Etcd]]:
    """So many members that know each other."""
    places = [Place(f"m{number}", free_tcp_port(), free_tcp_port()) for number in range(count)]
    with contextlib.ExitStack() as stack:
        members = [Etcd(folder, place=place, peers=places) for place in places]
        for member in members:  # all of them, since none answers alone
            member.launch()
            stack.push(member)
        for member in members:
            member.wait()
        yield members


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _after(prefix: str) -> str:
    """The first key that does not begin so, and comes after those that do."""
    return _b64(prefix[:-1] + chr(ord(prefix[-1]) + 1))
