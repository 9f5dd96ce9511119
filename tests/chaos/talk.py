# SPDX-License-Identifier: Apache-2.0
"""Containers that talk all the time: every one sends a datagram to every other ten times a second, and those of the
beginning have TCP connections between each other, which nothing may break.

One thread serves all, since a socket belongs to the namespace in which it was made. A thread that is kept from the
processor would take its own absence for silence: it starts to wait anew then.
"""

import contextlib
import json
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.hosts.hosts import Namespace

PORT = 7007
TICK_S = 0.1
LATE_S = 0.5  # a tick that comes so late says that this process was kept from the processor
MESSAGE = 64  # bytes of one on a connection


@dataclass
class Station:
    """A container that talks. `key` names its endpoint, `host` the number of its host."""

    key: str
    host: int
    address: str
    where: Namespace
    datagrams: socket.socket = field(init=False)
    listener: socket.socket | None = field(init=False, default=None)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.address} (h{self.host + 1})"

    def open(self, listen: bool) -> None:
        """Make its sockets."""
        self.datagrams = self.where.inside(lambda: self._bound(socket.SOCK_DGRAM))
        if listen:
            self.listener = self.where.inside(lambda: self._bound(socket.SOCK_STREAM))
            self.listener.listen(64)

    def _bound(self, kind: socket.SocketKind) -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((self.address, PORT))
        made.setblocking(False)
        return made

    def connect(self, other: "Station") -> socket.socket:
        """A connection to another station, begun."""

        def begin() -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BlockingIOError):
                made.connect((other.address, PORT))
            return made

        return self.where.inside(begin)

    def close(self) -> None:
        """Close its sockets."""
        self.datagrams.close()
        if self.listener is not None:
            self.listener.close()


@dataclass(frozen=True)
class Silence:
    """A pair of which one has not heard the other for so long, in seconds; `kind` is udp or tcp. Both are named by
    their address and host."""

    kind: str
    frm: str
    to: str
    seconds: float


@dataclass
class Connection:
    """From one station to another, which sends back what it gets."""

    frm: Station
    to: Station
    sock: socket.socket
    unsent: bytearray = field(default_factory=bytearray)
    pending: bytearray = field(default_factory=bytearray)  # came back, and is less than a message
    heard: float = field(default_factory=time.monotonic)


@dataclass
class Echo:
    """The other end of a connection."""

    sock: socket.socket
    unsent: bytearray = field(default_factory=bytearray)


class Talk:
    """Start it; add and remove stations at any time. `broken` are sentences about connections that ended."""

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.starved = 0.0  # seconds that this thread was late, all together
        self._stations: dict[str, Station] = {}
        self._heard: dict[tuple[str, str], float] = {}  # by sender and receiver: when the last one heard was sent
        self._connections: dict[tuple[str, str], Connection] = {}
        self._echoes: list[Echo] = []
        self._reset = time.monotonic()  # silence begins then at the earliest
        self._lock = threading.RLock()
        self._selector = selectors.DefaultSelector()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="talk", daemon=True)

    def __enter__(self) -> "Talk":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        with self._lock:
            for key in list(self._stations):
                self.remove(key)
            for echo in self._echoes:
                echo.sock.close()
            self._selector.close()

    def add(self, station: Station, *, connect: bool = False) -> None:
        """Let a station talk to all others; with `connect`, also on connections with those that were added so."""
        station.open(connect)
        with self._lock:
            if station.listener is not None:
                self._selector.register(station.listener, selectors.EVENT_READ, self._accept(station.listener))
                for other in [other for other in self._stations.values() if other.listener is not None]:
                    self._connect(station, other)
                    self._connect(other, station)
            self._selector.register(station.datagrams, selectors.EVENT_READ, lambda: self._datagram(station))
            now = time.monotonic()
            for other in self._stations.values():
                self._heard[station.key, other.key] = self._heard[other.key, station.key] = now
            self._stations[station.key] = station

    def remove(self, key: str) -> None:
        """Let a station say nothing any more. No error if there is none."""
        with self._lock:
            station = self._stations.pop(key, None)
            if station is None:
                return
            for pair in [pair for pair in self._connections if key in pair]:
                connection = self._connections.pop(pair)
                self._selector.unregister(connection.sock)
                connection.sock.close()
            self._heard = {pair: when for pair, when in self._heard.items() if key not in pair}
            for sock in (station.datagrams, station.listener):
                if sock is not None:
                    self._selector.unregister(sock)
            station.close()

    def members(self) -> set[str]:
        """Who talks, by key."""
        with self._lock:
            return set(self._stations)

    def silences(self, since: Callable[[str, Station, Station], float | None]) -> list[Silence]:
        """How long each pair has been silent: from when `since` says for its kind (udp, tcp), at the earliest. None: a
        pair that need not hear each other."""
        now = time.monotonic()
        with self._lock:
            pairs = [("udp", frm, to, heard) for (frm, to), heard in self._heard.items()]
            pairs += [("tcp", frm, to, each.heard) for (frm, to), each in self._connections.items()]
            found = []
            for kind, frm, to, heard in pairs:
                begin = since(kind, self._stations[frm], self._stations[to])
                if begin is not None:
                    seconds = now - max(heard, begin, self._reset)
                    found.append(Silence(kind, self._stations[frm].name, self._stations[to].name, seconds))
            return found

    # Within the thread.

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ends.is_set():
            due += TICK_S
            with self._lock:
                self._send()
            while (left := due - time.monotonic()) > 0:
                for key, _ in self._selector.select(left):
                    with self._lock, contextlib.suppress(OSError, ValueError):  # it may have been removed meanwhile
                        key.data()
            late = time.monotonic() - due
            if late > LATE_S:
                with self._lock:
                    self.starved += late
                    self._reset = due = time.monotonic()

    def _send(self) -> None:
        now = time.monotonic()
        for station in self._stations.values():
            for other in self._stations.values():
                if other is not station:
                    text = json.dumps([station.key, other.key, now]).encode()
                    with contextlib.suppress(OSError):  # no route while an interface is away
                        station.datagrams.sendto(text, (other.address, PORT))
        for connection in list(self._connections.values()):
            if not connection.unsent:
                connection.unsent += f"{now:.6f}".encode().ljust(MESSAGE)
            try:
                del connection.unsent[: connection.sock.send(connection.unsent)]
            except BlockingIOError:
                continue  # not connected yet, or nothing is acknowledged
            except OSError as error:
                self._broke(connection, str(error))
        for echo in self._echoes:
            with contextlib.suppress(OSError):  # the other end tells of it
                self._flush(echo)

    def _datagram(self, station: Station) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(256):
                frm, to, sent = json.loads(station.datagrams.recv(2048))
                if to == station.key and (frm, to) in self._heard:
                    self._heard[frm, to] = max(self._heard[frm, to], sent)

    def _connect(self, frm: Station, to: Station) -> None:
        connection = Connection(frm, to, frm.connect(to))
        self._connections[frm.key, to.key] = connection
        self._selector.register(connection.sock, selectors.EVENT_READ, lambda: self._echo_back(connection))

    def _accept(self, listener: socket.socket) -> Callable[[], None]:
        def accept() -> None:
            made, _ = listener.accept()
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            echo = Echo(made)
            self._echoes.append(echo)
            self._selector.register(made, selectors.EVENT_READ, lambda: self._echo(echo))

        return accept

    def _echo(self, echo: Echo) -> None:
        """Send back what comes: the other end counts what is missing."""
        try:
            text = echo.sock.recv(65536)
            if text:
                echo.unsent += text
                self._flush(echo)
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # the other end tells of it
        self._echoes.remove(echo)
        self._selector.unregister(echo.sock)
        echo.sock.close()

    @staticmethod
    def _flush(echo: Echo) -> None:
        if echo.unsent:
            with contextlib.suppress(BlockingIOError):
                del echo.unsent[: echo.sock.send(echo.unsent)]

    def _echo_back(self, connection: Connection) -> None:
        try:
            text = connection.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._broke(connection, str(error))
            return
        if not text:
            self._broke(connection, "the other end closed it")
            return
        connection.pending += text
        whole = len(connection.pending) // MESSAGE * MESSAGE
        if whole:
            connection.heard = float(connection.pending[whole - MESSAGE : whole])
            del connection.pending[:whole]

    def _broke(self, connection: Connection, why: str) -> None:
        """Note it, and begin a new one."""
        self.broken.append(f"the connection from {connection.frm.name} to {connection.to.name} broke: {why}")
        self._selector.unregister(connection.sock)
        connection.sock.close()
        self._connect(connection.frm, connection.to)
