# SPDX-License-Identifier: Apache-2.0
"""The process behind a VXLAN device: in the foreground until a signal, or detached."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable

from aiohttp import web

from fastpath import Port
from fastpath.control.api import application
from fastpath.control.config import VxlanConfig
from fastpath.control.control_socket import bind_socket, unlink_socket
from fastpath.control.device import VxlanDevice
from fastpath.errors import FastpathError, RefusedError


def run(config: VxlanConfig, ready: Callable[[VxlanDevice], None]) -> str | None:
    """Make the device, call `ready`, and serve until SIGINT, SIGTERM, a stop request, or until somebody
    deletes the interface, which is what the returned sentence then says. Raises FastpathError where the
    device can't be made; nothing is left then."""
    sock = bind_socket(config.name)
    try:
        device = VxlanDevice(config)
        try:
            return asyncio.run(_serve(device, sock, ready))
        finally:
            device.close()
    finally:
        sock.close()
        unlink_socket(config.name)


async def _serve(device: VxlanDevice, sock: object, ready: Callable[[VxlanDevice], None]) -> str | None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[str | None] = loop.create_future()

    def end(why: str | None) -> None:
        if not ended.done():
            ended.set_result(why)

    def port_gone(port: Port) -> None:
        loop.call_soon_threadsafe(end, f"the interface {port.name} was deleted")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, None)
    device.engine.on_port_gone(port_gone)
    runner = web.AppRunner(application(device, lambda: end(None)), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.SockSite(runner, sock).start()  # type: ignore[arg-type]
    device.engine.start()
    try:
        ready(device)
        return await ended
    finally:
        await runner.cleanup()


def detach(config: VxlanConfig) -> None:
    """Run the device in a process of its own, and return when it is ready. Raises FastpathError with
    that process's words where it could not start."""
    reader, writer = os.pipe()
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


def _detached(config: VxlanConfig, writer: int) -> None:
    """The child: leave the terminal, let the parent go, run. Never returns."""
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    status = 0
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        os.close(null)

        def ready(_: VxlanDevice) -> None:
            os.write(writer, b"ready")
            os.close(writer)

        run(config, ready)
    except FastpathError as error:
        os.write(writer, str(error).encode())
        status = 2
    except BaseException as error:
        with contextlib.suppress(OSError):  # the parent may have been told "ready" already
            os.write(writer, f"unexpected error: {error!r}".encode())
        status = 1
    finally:
        sys.stdout.flush()
        os._exit(status)
