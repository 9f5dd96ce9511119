# SPDX-License-Identifier: Apache-2.0
"""What is sent through an overlay, and what is counted: datagrams, requests, TCP streams."""

import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fastpath.bench.common import machine
from fastpath.bench.common.namespaces import Namespace, wait_for
from fastpath.bench.e2e.sites.site import Site
from fastpath.errors import RefusedError

SENDER_CPU, RECEIVER_CPU = 0, 1
PINNING = (
    f"sender or client on core {SENDER_CPU}, receiver or server on core {RECEIVER_CPU}; "
    "overlays, kernel threads and interrupts are not pinned"
)
WARM_UP_S = 0.3
TCP_WARM_UP_S = 1
ADDRESS = "10.9.0.2"
IPERF_PORT = 5201
LOSS, NDR_STEPS, DRAIN_S = 0.001, 8, 0.1
Figures = dict[str, float]


@dataclass(frozen=True)
class Window:
    """Traffic from `begin` to `end`, counted from `count` on; CLOCK_MONOTONIC, ns."""

    begin: int
    count: int
    end: int

    @classmethod
    def starting_now(cls, seconds: float) -> "Window":
        """A window of `seconds` behind the warm-up."""
        begin = time.monotonic_ns() + 5_000_000
        count = begin + int(WARM_UP_S * 1e9)
        return cls(begin, count, count + int(seconds * 1e9))

    @property
    def seconds(self) -> float:
        """How long is counted."""
        return (self.end - self.count) / 1e9


def _sleep_until(when_ns: int) -> None:
    time.sleep(max(0, when_ns - time.monotonic_ns()) / 1e9)


def cpu_within(window: Window) -> machine.CpuTime:
    """Wait until the window is over; the CPU time that the machine spent in it."""
    _sleep_until(window.count)
    before = machine.cpu_time()
    _sleep_until(window.end)
    return machine.cpu_time() - before


def load(where: Namespace, role: str, *, cpu: int, **options: float | str) -> subprocess.Popen[str]:
    """One end of the load, ready to start."""
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    command = [
        sys.executable,
        "-m",
        "fastpath.bench.e2e.traffic.load",
        role,
        "--address",
        ADDRESS,
        "--cpu",
        str(cpu),
        *words,
    ]
    return where.spawn(*command, stdin=subprocess.PIPE)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def together(
    *ends: subprocess.Popen[str], seconds: float, drain: float = 0
) -> tuple[Window, machine.CpuTime, list[Figures]]:
    """Run all ends within one window; what each counted. The first one stays for `drain` seconds more."""
    for end in ends:
        assert end.stdout is not None
        if end.stdout.readline() != "ready\n":
            raise RefusedError(f"the load generator did not start: {_last_line(end.communicate()[1])}")
    window = Window.starting_now(seconds)
    for end in ends:
        assert end.stdin is not None
        last = window.end + (int(drain * 1e9) if end is ends[0] else 0)
        end.stdin.write(f"{window.begin} {window.count} {last}\n")
        end.stdin.flush()
    cpu = cpu_within(window)
    tallies: list[Figures] = []
    for end in ends:
        output, errors = end.communicate(timeout=30)
        if end.returncode != 0:
            raise RefusedError(f"the load generator failed: {_last_line(errors)}")
        tallies.append(json.loads(output))
    return window, cpu, tallies


def per(cpu_s: float, count: float) -> float:
    """Cost of one; infinite where there was none."""
    return cpu_s / count if count else float("inf")


def datagrams(site: Site, seconds: float, *, flows: int = 1, size: int = 64, rate: float = 0) -> Figures:
    """Datagrams from c1 to c2 as fast as the socket takes them, or at a rate."""
    receiver = load(site.c2, "receive", cpu=RECEIVER_CPU, size=size)
    sender = load(site.c1, "send", cpu=SENDER_CPU, size=size, flows=flows, rate=rate)
    window, cpu, (received, sent) = together(receiver, sender, seconds=seconds)
    return {
        "offered_kpps": sent["datagrams"] / window.seconds / 1e3,
        "received_kpps": received["datagrams"] / window.seconds / 1e3,
        "cpu_us_per_datagram": per(cpu.busy * 1e6, received["datagrams"]),
        "cpu_cores": cpu.busy / window.seconds,
        "reordered": received["late"] if flows == 1 else 0,
        "retries": sent["retries"],
        "stolen_s": cpu.stolen,
    }


def no_drop_rate(site: Site, seconds: float) -> Figures:
    """The highest rate at which at most LOSS of the datagrams are lost: binary search, as RFC 2544 section 26.1 has it,
    with trials of `seconds` / 2. Everything that was sent counts, until DRAIN_S after the end."""
    length = max(0.2, seconds / 2)
    low, high = 0.0, datagrams(site, length)["received_kpps"] * 2e3
    best: Figures = {"ndr_kpps": 0.0, "cpu_us_per_datagram": float("inf")}
    for _ in range(NDR_STEPS):
        rate = (low + high) / 2
        receiver = load(site.c2, "receive", cpu=RECEIVER_CPU)
        sender = load(site.c1, "send", cpu=SENDER_CPU, rate=rate)
        window, cpu, (received, sent) = together(receiver, sender, seconds=length, drain=DRAIN_S)
        achieved = sent["total"] / (window.end - window.begin) * 1e9
        if received["total"] >= (1 - LOSS) * sent["total"] and achieved > 0.98 * rate:
            low = rate
            best = {
                "ndr_kpps": achieved / 1e3,
                "cpu_us_per_datagram": per(cpu.busy * 1e6, sent["datagrams"]),
                "cpu_cores": cpu.busy / window.seconds,
            }
        else:
            high = rate
    return best


def requests(site: Site, seconds: float, *, size: int = 64) -> Figures:
    """Requests from c1, answered by c2, one outstanding. One-way times are half of the round trip."""
    responder = load(site.c2, "respond", cpu=RECEIVER_CPU, size=size)
    prober = load(site.c1, "request", cpu=SENDER_CPU, size=size)
    window, cpu, (_, asked) = together(responder, prober, seconds=seconds)
    if not asked["datagrams"]:
        raise RefusedError("no request was answered")
    return {
        **{name: asked[name] for name in ("p50_us", "p99_us", "p999_us", "max_us")},
        "transactions": asked["datagrams"],
        "lost": asked["lost"],
        "cpu_us_per_transaction": per(cpu.busy * 1e6, asked["datagrams"]),
        "cpu_cores": cpu.busy / window.seconds,
        "stolen_s": cpu.stolen,
    }


def _listens(where: Namespace) -> bool:
    return bool(where.run("ss", "-Hltn", f"sport = :{IPERF_PORT}").stdout.strip())


@contextlib.contextmanager
def iperf(site: Site, *, streams: int, seconds: int) -> Iterator[subprocess.Popen[str]]:
    """A running iperf3 client in c1 with its server in c2: TCP_WARM_UP_S that it leaves out, then `seconds`."""
    server = site.c2.spawn("iperf3", "-s", "-1", "-p", str(IPERF_PORT))
    wait_for(lambda: _listens(site.c2), "iperf3 listens")
    command = f"iperf3 -J -i 0 -c {ADDRESS} -p {IPERF_PORT} -P {streams} -O {TCP_WARM_UP_S} -t {seconds}"
    client = site.c1.spawn(*command.split(), "-A", f"{SENDER_CPU},{RECEIVER_CPU}")
    try:
        yield client
    finally:
        for process in (client, server):
            process.kill()
            process.communicate()


def streams(site: Site, seconds: float, *, count: int = 1) -> Figures:
    """TCP from c1 to c2, by iperf3. Its windows are whole seconds."""
    whole = max(1, math.ceil(seconds))
    with iperf(site, streams=count, seconds=whole) as client:
        begin = time.monotonic_ns() + 20_000_000  # until it is connected
        start = begin + TCP_WARM_UP_S * 10**9
        cpu = cpu_within(Window(begin, start, start + whole * 10**9))
        output = client.communicate(timeout=30)[0]
    try:
        report = json.loads(output)
    except ValueError:
        raise RefusedError(f"iperf3 said: {_last_line(output)}") from None
    if "error" in report:
        raise RefusedError(f"iperf3: {report['error']}")
    received, sent = report["end"]["sum_received"], report["end"]["sum_sent"]
    bits = received["bits_per_second"]
    return {
        "gbit_per_s": bits / 1e9,
        "offered_gbit_per_s": sent["bits_per_second"] / 1e9,
        "cpu_s_per_gb": per(cpu.busy / whole, bits / 8e9),
        "cpu_cores": cpu.busy / whole,
        "retransmits": sent.get("retransmits", 0),
        "stolen_s": cpu.stolen,
    }


def requests_beside_a_stream(site: Site, seconds: float) -> Figures:
    """`requests` while one TCP stream goes the same way."""
    with iperf(site, streams=1, seconds=math.ceil(seconds) + 5) as client:
        time.sleep(0.5)
        figures = requests(site, seconds)
        if client.poll() is not None:
            raise RefusedError("iperf3 ended before the requests did")
    return figures
