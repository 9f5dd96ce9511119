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
from fastpath.control.cli.common.click_ext import Words
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import PATH, json_option
from fastpath.control.cli.syntax.forwarder import parse, split
from fastpath.control.replay.bench import Bench, bench
from fastpath.control.replay.files import STANDARD_INPUT, STANDARD_OUTPUT, open_capture, open_output, size_of
from fastpath.control.replay.ports import PortMap
from fastpath.control.replay.session import Plan, Result, Session, check_remotes, forwarder_factory
from fastpath.errors import UsageError
from fastpath.pcap.pcap import CaptureReader
from fastpath.replay.recording import Recording

PARAMETER = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
QUIET_S = 2.0  # without a bar
REDRAW_S = 0.2


@click.command(cls=Words, usage="CAPTURE [PARAMETER=VALUE …]")
@click.option(
    "--forwarder", "spec", default="bridge", show_default=True, help="Forwarder, as for `fastpath forwarder set`."
)
@click.option("--ports", help="Ports where frames enter: NAME=MAC,… NAME=*, or a TOML file.")
@click.option("--vxlan", is_flag=True, help="The capture contains VXLAN packets instead of frames.")
@click.option(
    "--udp-port", type=click.IntRange(1, 65535), default=4789, show_default=True, help="UDP port of the VXLAN packets."
)
@click.option(
    "--local",
    metavar="ADDRESS",
    help="Address of the VTEP to replay: packets from it are frames that enter at its ports.",
)
@click.option("--remote", "remotes", metavar="ADDRESS", multiple=True, help="VTEP to flood to; may be repeated.")
@click.option(
    "--burst", type=click.IntRange(1, 64), default=64, show_default=True, help="Frames per call of the forwarder."
)
@click.option("-o", "output", type=PATH, metavar="FILE", help="Write outgoing frames to FILE, as pcapng.")
@click.option("--timing/--as-fast-as-possible", help="Keep the pauses of the capture.  [default: as fast as possible]")
@click.option("--bench", "measure", is_flag=True, help="Measure the forwarder: ns per frame, without I/O.")
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
    """Run a capture (pcap or pcapng; - is standard input) through the engine, without root.

    The forwarder decides on each frame; outgoing frames are counted, and written to a file instead of a network. The
    same capture always gives the same result.

    Frames enter at the port "in", and there is a port "out". A pcapng file of several interfaces has a port for each.
    --ports assigns frames to ports by source address. See docs/forwarding/replay.md.

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
        raise UsageError("--local tells which VXLAN packets were sent here: it needs --vxlan")
    check_remotes(vtep, others)
    if measure and (output is not None or timing):
        raise UsageError("--bench does not deliver frames: it cannot be used with -o or --timing")
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
    from fastpath.control.cli.reports import replay as replay_report  # noqa: PLC0415  # rich: 40 ms to load

    if output is not None and str(output) == STANDARD_OUTPUT:
        return  # it has the frames: there is no place for words
    if as_json:
        click.echo(json.dumps(replay_report.as_dict(result, measured)))
    elif measured is not None:
        replay_report.print_bench(measured)
    else:
        replay_report.print_result(Path(name).name, result)


def _split(words: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return the capture, and the parameters of the forwarder."""
    parameters: list[str] = []
    names: list[str] = []
    for word in words:
        kind = names if PARAMETER.fullmatch(word) is None or (not names and Path(word).exists()) else parameters
        kind.append(word)
    if len(names) != 1:
        raise UsageError("name one capture: fastpath replay CAPTURE [PARAMETER=VALUE …]")
    return names[0], parameters


def _run(plan: Plan, name: str, output: Path | None, *, measure: bool) -> tuple[Result, Bench | None]:
    with open_capture(name) as capture, open_output(output, capture) as out, _progress(size_of(capture)) as progress:
        reader = CaptureReader(capture, "standard input" if name == STANDARD_INPUT else name)
        session = Session(plan, reader, None if out is None else Recording(out, plan.local))
        try:
            measured = bench(session, progress=progress) if measure else None
            return session.run(progress), measured
        finally:
            session.close()


@contextlib.contextmanager
def _progress(size: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, if it takes a while."""
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
