# SPDX-License-Identifier: Apache-2.0
"""`fastpath capture`"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import click

from fastpath.control.api.client import DaemonClient
from fastpath.control.api.unix_http import AbsentError, Stream
from fastpath.control.capture.blocks import PACKET, STATISTICS, Block, blocks, dropped, packets
from fastpath.control.capture.request import INCOMPLETE, CaptureRequest
from fastpath.control.capture.text import line
from fastpath.control.cli.common.click_ext import Words
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import socket_option
from fastpath.control.cli.common.render import say
from fastpath.control.cli.common.requests import build
from fastpath.control.cli.common.words import Word, read_words
from fastpath.control.device.client import Client
from fastpath.control.device.control_socket import device_names
from fastpath.engine.captures.captured import SNAPLEN
from fastpath.errors import RefusedError, UsageError
from fastpath.text import printable

WORDS = {
    "port": Word(1, repeated=True, hint="port NAME"),
    "remote": Word(1, repeated=True, hint="remote ADDRESS"),
    "drop": Word(1, repeated=True, hint="drop REASON, or drop any"),
}
NAMES = {"count": "-c", "snaplen": "-s", "duration": "--duration", "directions": "-Q", "filter": "--filter"}
DIRECTIONS = {"in": ("in",), "out": ("out",), "inout": ("in", "out")}


@click.command(cls=Words, usage="NAME [port NAME | remote ADDRESS | drop REASON|any]...")
@click.option("-w", "--write", "file", metavar="FILE", help="Write pcapng to FILE, or to standard output (-).")
@click.option("-c", "--count", type=click.IntRange(1), help="Stop after this many frames.")
@click.option(
    "-s", "--snaplen", type=click.IntRange(0, SNAPLEN), default=0, help="Bytes to keep of each frame.  [default: all]"
)
@click.option(
    "-Q", "--direction", type=click.Choice(list(DIRECTIONS)), default="inout", help="Direction, seen from the engine."
)
@click.option("--outer", is_flag=True, help="Capture underlay packets, with VXLAN, UDP and IP headers.")
@click.option(
    "--filter", "expression", metavar="EXPRESSION", help="Capture only frames that match, see pcap-filter(7)."
)
@click.option("--duration", type=float, metavar="SECONDS", help="Stop after this many seconds.")
@socket_option
@click.argument("name")
@click.argument("words", nargs=-1)
@one_line_errors
def capture(
    name: str,
    words: tuple[str, ...],
    *,
    file: str | None,
    count: int | None,
    snaplen: int,
    direction: str,
    outer: bool,
    expression: str | None,
    duration: float | None,
    socket: Path,
) -> None:
    """Capture frames that pass a port or a remote, or are dropped, until Ctrl-C.

    NAME is a device of this network namespace, or a network of the daemon. By default everything is captured, and a
    frame from a port to a remote appears twice. With `port`, `remote` or `drop`, what matches any of them is captured.
    A port of a network may be named by host name, address or id of an endpoint. Without -w, print a line per frame.

    \b
    Examples:
      fastpath capture vx0
      fastpath capture vx0 remote 192.0.2.2 drop any -w trouble.pcapng
      fastpath capture vx0 --outer -s 128 --filter 'udp port 4789' -w - | tcpdump -nr -
      fastpath capture blue port web -c 10 --filter 'tcp port 80'
    """
    found = read_words(words, WORDS)
    wanted = build(
        CaptureRequest,
        NAMES,
        ports=tuple(found.get("port", ())),
        remotes=tuple(found.get("remote", ())),
        drops=tuple(found.get("drop", ())),
        directions=DIRECTIONS[direction],
        outer=outer,
        filter=expression,
        snaplen=snaplen,
        count=count,
        duration=duration,
    )
    if file == "-" and sys.stdout.isatty():
        raise UsageError("pcapng is binary: use -w FILE, or pipe it into tcpdump -r -")
    tally = _Tally()
    with _stream(name, wanted, socket) as stream, _ended_by_signals(stream) as stopped, _while_read():
        say(f"capturing {name} (Ctrl-C ends it)", err=True)
        if incomplete := stream.header(INCOMPLETE):
            say(printable(incomplete), err=True)
        if file is not None:
            _write(file, stream, tally)
        else:
            for packet in packets(tally.watch(blocks(stream))):
                say(line(packet))
    say(f"{tally.captured} frames captured, {tally.missed} frames missed", err=True)
    if stream.broken and not stopped:
        raise RefusedError(f"{name} ended during the capture")


class _Tally:
    """Count the blocks of a stream."""

    def __init__(self) -> None:
        self.captured = self.missed = 0

    def watch(self, found: Iterable[Block]) -> Iterator[Block]:
        for block in found:
            yield block
            self.captured += block.kind == PACKET
            if block.kind == STATISTICS:
                self.missed = dropped(block)


def _stream(name: str, wanted: CaptureRequest, socket: Path) -> AbstractContextManager[Stream]:
    """Capture at the device of that name, or else at the network."""
    if name in device_names():
        return Client(name).capture(wanted)
    return _of_network(name, wanted, socket)


@contextlib.contextmanager
def _of_network(name: str, wanted: CaptureRequest, socket: Path) -> Iterator[Stream]:
    try:
        with DaemonClient(socket).capture(name, wanted) as stream:
            yield stream
    except AbsentError as error:
        raise UsageError(f"no fastpath device named {name} runs here, and no network: {error}") from None


@contextlib.contextmanager
def _ended_by_signals(stream: Stream) -> Iterator[list[int]]:
    """End the stream at the first signal, the process at the second. Yield the signals that came."""
    came: list[int] = []

    def end(number: int, _: object) -> None:
        came.append(number)
        stream.end()
        signal.signal(number, signal.SIG_DFL)

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _while_read() -> Iterator[None]:
    """End quietly when the reader of our output closes it."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that Python can flush what it still holds


def _write(file: str, stream: Stream, tally: _Tally) -> None:
    """Write whole blocks as they come: others may read the file meanwhile."""
    with open(os.dup(1) if file == "-" else file, "wb") as output:

        def pieces() -> Iterator[bytes]:
            for piece in stream:
                yield piece
                output.flush()

        for block in tally.watch(blocks(pieces())):
            output.write(block.data)
