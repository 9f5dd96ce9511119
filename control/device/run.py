# SPDX-License-Identifier: Apache-2.0
"""The process behind a VXLAN device: in the foreground until a signal, or detached."""

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import Callable

from fastpath import Port
from fastpath.control.device.api import application
from fastpath.control.device.config import VxlanConfig
from fastpath.control.device.control_socket import control_socket, socket_directory
from fastpath.control.device.vxlan import VxlanDevice
from fastpath.control.device.watch import DeviceWatch
from fastpath.control.runtime.descriptors import raise_limit
from fastpath.control.runtime.http_server import serving
from fastpath.control.runtime.signals import StopSignals
from fastpath.errors import FastpathError, RefusedError


def run(config: VxlanConfig, ready: Callable[[VxlanDevice], None]) -> str | None:
    """Create the device, call `ready`, and serve until SIGINT, SIGTERM, SIGHUP or a stop request; return None then.
    Return the reason if the interface is deleted. Raise FastpathError, and leave nothing, if the device cannot be
    created."""
    raise_limit()
    with StopSignals() as signals, control_socket(config.name) as sock:
        if signals.received:
            return None
        device = VxlanDevice(config)
        try:
            return asyncio.run(_serve(device, sock, signals, ready))
        finally:
            device.close()


async def _serve(
    device: VxlanDevice, sock: socket.socket, signals: StopSignals, ready: Callable[[VxlanDevice], None]
) -> str | None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[str | None] = loop.create_future()

    def end(why: str | None) -> None:
        if not ended.done():
            ended.set_result(why)

    def port_gone(port: Port) -> None:
        loop.call_soon_threadsafe(end, f"the interface {device.config.name} was deleted")

    signals.then(lambda: loop.call_soon_threadsafe(end, None))
    device.engine.on_port_gone(port_gone)
    try:
        async with serving(application(device, lambda: end(None)), sock, shutdown_timeout=0.5):
            device.engine.start()
            if not signals.received:
                ready(device)
            watch = asyncio.create_task(DeviceWatch(device, end).run())
            try:
                return await ended
            finally:
                watch.cancel()
    finally:
        signals.then(lambda: None)


def detach(config: VxlanConfig) -> None:
    """Run the device in its own process, and return when it is ready. Raise FastpathError with that process's words if
    it could not start."""
    reader, writer = _pipe_above_standard()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _detached(config, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if answer != "ready":
        raise RefusedError(answer or "the detached process ended before it was ready")


def _pipe_above_standard() -> tuple[int, int]:
    """Return a pipe with descriptors above 2: the child replaces 0 to 2, and they may be closed here."""
    ends = os.pipe()
    reader, writer = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in ends)
    for fd in ends:
        os.close(fd)
    return reader, writer


def _detached(config: VxlanConfig, writer: int) -> None:
    """Detach from the terminal and run, in the child. Never returns."""
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    status = 0
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        # Keep nothing of the caller: no lock, no mounted file system.
        os.closerange(3, writer)
        os.closerange(writer + 1, os.sysconf("SC_OPEN_MAX"))
        os.environ["FASTPATH_RUN_DIR"] = str(socket_directory().parent)
        os.chdir("/")

        def ready(_: VxlanDevice) -> None:
            os.write(writer, b"ready")
            os.close(writer)

        run(config, ready)
    except (FastpathError, OSError) as error:
        os.write(writer, str(error).encode(errors="backslashreplace"))
        status = 2
    except BaseException as error:
        with contextlib.suppress(OSError):  # the parent may have been told "ready" already
            os.write(writer, f"unexpected error: {error!r}".encode(errors="backslashreplace"))
        status = 1
    finally:
        os._exit(status)
