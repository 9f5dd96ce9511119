# SPDX-License-Identifier: Apache-2.0
"""A web server, nginx, and a client that keeps its connection, wrk."""

import contextlib
import math
import re
import time
from collections.abc import Iterator

from fastpath.bench.common.namespaces import Namespace, wait_for
from fastpath.bench.e2e.sites.site import DEVICE, Site
from fastpath.bench.e2e.traffic.window import (
    ADDRESS,
    RECEIVER_CPU,
    SENDER_CPU,
    Figures,
    Window,
    cpu_within,
    last_line,
    per,
)
from fastpath.errors import RefusedError

PORT, SIZE = 8080, 100 * 1024
SUBNET = "10.9.0.0/24"
START_S = 0.3  # wrk connects, and the connection grows, before it is counted
CONFIGURATION = """
daemon off;
user root;  # who may read the folder
worker_processes 1;
worker_cpu_affinity {mask:b};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen {address}:{port}; root {folder}; }}
}}
"""
UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


@contextlib.contextmanager
def _server(site: Site) -> Iterator[None]:
    """Run nginx in c2, on the receiver's core, with a file of SIZE bytes."""
    folder = site.scratch / "web"
    folder.mkdir(exist_ok=True)
    (folder / "file").write_bytes(bytes(SIZE))
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, address=ADDRESS, port=PORT, mask=1 << RECEIVER_CPU))
    process = site.c2.spawn("nginx", "-e", "stderr", "-p", str(folder), "-c", str(configuration))

    def listens() -> bool:
        if process.poll() is not None:
            raise RefusedError(f"nginx ended: {last_line(process.communicate()[1])}")
        return bool(site.c2.run("ss", "-Hltn", f"sport = :{PORT}").stdout.strip())

    try:
        wait_for(listens, "nginx listens")
        yield
    finally:
        process.terminate()  # a kill would leave its worker
        process.communicate()


@contextlib.contextmanager
def _congestion(where: Namespace, name: str | None) -> Iterator[None]:
    """Have the route to the client name TCP's congestion control, since nginx has no option for it."""
    route = f"{SUBNET} dev {DEVICE} proto kernel scope link src {ADDRESS}"
    if name is not None:
        where.ip(f"route replace {route} congctl {name}")
    try:
        yield
    finally:
        if name is not None:
            where.ip(f"route replace {route}")


def answers(site: Site, seconds: float, *, congestion: str | None = None) -> Figures:
    """Have c1 ask c2 for SIZE bytes again and again over one connection. The time is rounded up to whole seconds."""
    whole = math.ceil(seconds + START_S)
    with _congestion(site.c2, congestion), _server(site):
        command = f"wrk -t1 -c1 -d{whole}s --timeout 10s --latency http://{ADDRESS}:{PORT}/file"
        client = site.c1.spawn("taskset", "-c", str(SENDER_CPU), *command.split())
        try:
            time.sleep(START_S)
            used = site.c2.run("ss", "-Htin", f"sport = :{PORT}").stdout.split()
            begin = time.monotonic_ns()
            window = Window(begin, begin, begin + int(seconds * 1e9))
            cpu = cpu_within(window)
            output, errors = client.communicate(timeout=whole + 60)
        finally:
            client.kill()
            client.communicate()
    if client.returncode != 0:
        raise RefusedError(f"wrk: {last_line(errors) or last_line(output)}")
    if congestion is not None and congestion not in used:
        raise RefusedError(f"nginx did not use {congestion}")
    figures = read_report(output)
    return {
        **figures,
        "gbit_per_s": figures["answers_per_s"] * SIZE * 8e-9,
        "cpu_us_per_answer": per(cpu.busy / window.seconds * 1e6, figures["answers_per_s"]),
        "cpu_cores": cpu.busy / window.seconds,
        "stolen_s": cpu.stolen,
    }


def read_report(output: str) -> Figures:
    """Return what wrk says about a run: answers a second, and how long they took (whole round trips, in µs).

    Raise RefusedError where it says something else, or tells of errors.
    """
    if (failed := re.search(r"(Socket errors|Non-2xx or 3xx responses): (.+)", output)) is not None:
        raise RefusedError(f"wrk: {failed[0]}")
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", output, re.MULTILINE)
    times = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+[a-z]+)$", output, re.MULTILINE))
    if rate is None or set(times) != {"50", "99"} or not float(rate[1]):
        raise RefusedError(f"wrk said: {last_line(output)}")
    return {
        "answers_per_s": float(rate[1]),
        "p50_us": _microseconds(times["50"]),
        "p99_us": _microseconds(times["99"]),
    }


def _microseconds(text: str) -> float:
    """Return the time that wrk writes as 12.34us, 1.20ms or 3.00s."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text.removeprefix(number)
    if unit not in UNITS_US:
        raise RefusedError(f"wrk said: {text}")
    return float(number) * UNITS_US[unit]
