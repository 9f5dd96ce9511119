# SPDX-License-Identifier: Apache-2.0
"""`./run bench replay`: make a capture, replay it as users do, write JSON and a table."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np

from fastpath.bench.common.command import json_option, rounds_option, show
from fastpath.bench.common.results import about_run
from fastpath.bench.replay import table
from fastpath.bench.replay.results import About, Case, Results
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.errors import RefusedError

FRAME, HOSTS, AT_ONCE = 64, 1000, 1 << 18
PORTS = f"a={','.join(f'02:00:00:00:{n >> 8:02x}:{n & 255:02x}' for n in range(HOSTS // 2))} b=*"
CASES = {
    "as it is": [],
    "ports by address": ["--ports", PORTS],
    "ports by address, with `-o`": ["--ports", PORTS, "-o", "/dev/null"],
    "`--forwarder hub`": ["--forwarder", "hub"],
}


def write_capture(path: Path, size: int) -> None:
    """Write a pcap file of about `size` bytes: frames of 64 bytes between any two of 1,000 hosts."""
    head = bytes.fromhex("020000000000 020000000000 0800 45000032000000004011 0000 0a000000 0a000000 1f90 1f90 001e")
    generator = np.random.default_rng(1)
    record = np.zeros(
        AT_ONCE, np.dtype([("s", "<u4"), ("us", "<u4"), ("length", "<u4", 2), ("frame", np.uint8, FRAME)])
    )
    record["length"] = FRAME
    record["frame"][:, : len(head)] = np.frombuffer(head, np.uint8)
    with path.open("wb") as file:
        file.write(bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 ffff0000 01000000"))
        for first in range(0, size // record.itemsize, AT_ONCE):
            micros = np.arange(first, first + AT_ONCE)
            record["s"], record["us"] = micros // 1_000_000, micros % 1_000_000
            for at, ip in ((4, 32), (10, 28)):  # of the two addresses, the last bytes
                number = generator.integers(0, HOSTS, AT_ONCE).astype(">u2").view(np.uint8).reshape(-1, 2)
                record["frame"][:, at : at + 2] = record["frame"][:, ip : ip + 2] = number
            file.write(record.tobytes())


def run_once(capture: Path, words: list[str]) -> tuple[float, float]:
    """Run the command once. Return million records a second, and the peak of its memory in MiB."""
    command = [sys.executable, "-m", "fastpath", "replay", str(capture), "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    printed = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RefusedError("the replay failed")
    found = json.loads(printed)
    return found["capture"]["records"] / found["seconds"] / 1e6, usage.ru_maxrss / 1024


@click.command()
@rounds_option(5)
@click.option("--size", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="MB of the capture.")
@json_option
@one_line_errors
def replay(*, rounds: int, size: int, json_file: Path | None) -> None:
    """Measure how many frames of 64 bytes a second the engine processes from a file in the page cache.

    \b
    Example:
      ./run bench replay --json bench/results/replay.json
    """
    cases: dict[str, Case] = {}
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "capture.pcap"
        write_capture(capture, size * 1_000_000)
        for name, words in CASES.items():
            runs = [run_once(capture, words) for _ in range(rounds)]
            cases[name] = Case(mega_per_s=[rate for rate, _ in runs], rss_mib=[rss for _, rss in runs])
    show(Results(about=About(**about_run(0, rounds), megabytes=size), cases=cases), json_file, table.render)
