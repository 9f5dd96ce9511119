# SPDX-License-Identifier: Apache-2.0
"""`fastpath replay`"""

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from fastpath.addresses import parse_ip
from fastpath.control.cli.click_ext import Words
from fastpath.control.cli.errors import one_line_errors
from fastpath.control.cli.forwarder_words import parse, split
from fastpath.control.cli.options import PATH, json_option
from fastpath.control.replay.bench import Bench, bench
from fastpath.control.replay.files import STANDARD_INPUT, open_capture, open_output, size_of
from fastpath.control.replay.ports import PortMap
from fastpath.control.replay.session import Plan, Result, Session, check_remotes, forwarder_factory
from fastpath.errors import UsageError
from fastpath.pcap.pcap import CaptureReader
from fastpath.replay.recording import Recording

PARAMETER = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
QUIET_S = 2.0  # without a bar
REDRAW_S = 0.2


@click.command(cls=Words, usage="CAPTURE [PARAMETER=VALUE …]")
@click.option("--forwarder", "spec", default="bridge", show_default=True, help="As for `fastpath forwarder set`.")
@click.option("--ports", help="Where frames enter: NAME=ADDRESS,… NAME=*, or a TOML file.")
@click.option("--vxlan", is_flag=True, help="The capture has VXLAN packets, not frames.")
@click.option("--udp-port", type=click.IntRange(1, 65535), default=4789, show_default=True, help="That they go to.")
@click.option("--local", metavar="ADDRESS", help="This VTEP: packets that it sent are frames that entered here.")
@click.option("--remote", "remotes", metavar="ADDRESS", multiple=True, help="A VTEP to flood to. May be repeated.")
@click.option("--burst", type=click.IntRange(1, 64), default=64, show_default=True, help="Frames decided on at once.")
@click.option("-o", "output", type=PATH, metavar="FILE", help="Write what leaves, as pcapng.")
@click.option("--timing/--as-fast-as-possible", help="Keep the capture's pauses.  [default: as fast as possible]")
@click.option("--bench", "measure", is_flag=True, help="Measure the forwarder: ns for each frame, without I/O.")
@json_option
@click.argument("words", nargs=-1)
@one_line_errors
def replay(
    *,
    words: tuple[str, ...],
    spec: str,
    ports: str | None,
    vxlan: bool,
    udp_port: int,
    local: str | None,
    remotes: tuple[str, ...],
    burst: int,
    output: Path | None,
    timing: bool,
    measure: bool,
    as_json: bool,
) -> None:
    """Send a capture (pcap, pcapng; - is the standard input) through the engine: its forwarder decides, and what
    leaves is counted and written to a file, not to a network. The same capture gives the same result. No root needed.

    Frames of a plain capture enter at the port "in", and there is a port "out"; a pcapng file of several interfaces
    has a port for each. --ports says it by source address. docs/replay.md tells more.

    \b
    Examples:
      fastpath replay lan.pcap
      fastpath replay lan.pcap --ports 'a=02:00:00:00:00:01 b=02:00:00:00:00:02 uplink=*' -o out.pcapng
      fastpath replay underlay.pcap --vxlan --local 192.0.2.1 --json | jq .workers[0].drops
      fastpath replay lan.pcap --forwarder acl.py rules=acl.toml
      fastpath replay lan.pcap --forwarder 'acl.py rules=acl.toml | bridge' --bench
    """
    name, parameters = _split(words)
    elements = parse([*split(spec), *parameters], Path.cwd())
    vtep = parse_ip(local) if local is not None else None
    others = tuple(parse_ip(address) for address in remotes)
    if vtep is not None and not vxlan:
        raise UsageError("--local says who sent which packets of a capture: it needs --vxlan")
    check_remotes(vtep, others)
    if measure and (output is not None or timing):
        raise UsageError("--bench delivers nothing, and waits for nothing: leave -o and --timing out")
    plan = Plan(
        make_forwarder=forwarder_factory(elements),
        ports=PortMap.parse(ports) if ports is not None else None,
        vxlan=vxlan,
        udp_port=udp_port,
        local=vtep,
        remotes=others,
        burst=burst,
        timed=timing,
    )
    result, measured = _run(plan, name, output, measure=measure)
    from fastpath.control.cli import replay_report  # noqa: PLC0415  # rich: 40 ms to load

    if as_json:
        click.echo(json.dumps(replay_report.as_dict(result, measured)))
    elif measured is not None:
        replay_report.print_bench(measured)
    else:
        replay_report.print_result(Path(name).name, result)


def _split(words: tuple[str, ...]) -> tuple[str, list[str]]:
    """The capture, and the forwarder's parameters."""
    parameters: list[str] = []
    names: list[str] = []
    for word in words:
        kind = names if PARAMETER.fullmatch(word) is None or (not names and Path(word).exists()) else parameters
        kind.append(word)
    if len(names) != 1:
        raise UsageError("name one capture: fastpath replay CAPTURE [PARAMETER=VALUE …]")
    return names[0], parameters


def _run(plan: Plan, name: str, output: Path | None, *, measure: bool) -> tuple[Result, Bench | None]:
    with open_capture(name) as capture, open_output(output) as out, _progress(size_of(capture)) as progress:
        reader = CaptureReader(capture, "the standard input" if name == STANDARD_INPUT else name)
        session = Session(plan, reader, None if out is None else Recording(out, plan.local))
        try:
            measured = bench(session, progress=progress) if measure else None
            return session.run(progress), measured
        finally:
            session.close()


@contextlib.contextmanager
def _progress(size: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, for what takes a while."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    bar: Any = None
    due = time.monotonic() + QUIET_S

    def tell(done: int) -> None:
        nonlocal bar, due
        now = time.monotonic()
        if now < due:
            return
        due = now + REDRAW_S
        if bar is None:
            bar = _bar()
            bar.start()
            bar.add_task("", total=size)
        bar.update(bar.task_ids[0], completed=done, refresh=True)

    try:
        yield tell
    finally:
        if bar is not None:
            bar.stop()


def _bar() -> Any:
    # 40 ms to load, and many replays are too short for a bar.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
