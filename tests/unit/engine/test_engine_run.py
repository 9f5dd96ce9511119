# SPDX-License-Identifier: Apache-2.0
"""Engine.run: until `stop` or a signal, whenever that comes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import fastpath
from tests.support.engine.lab import DEADLINE_S, Lab, wait_until
from tests.support.ports import free_port


def test_run_until_stopped(lab: Lab) -> None:
    thread = threading.Thread(target=lab.engine.run)
    thread.start()
    wait_until(lambda: lab.engine.running)
    lab.engine.stop()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


RUN = """
import signal, sys, threading
from fastpath import Engine
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)  # what comes before and after run() does not matter
print("ready", flush=True)
before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
rounds = int(sys.argv[2])
with Engine("127.0.0.1", udp_port=int(sys.argv[1])) as engine:
    engine.add_segment(1)
    for _ in range(rounds):
        engine.run()
assert before == [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
assert threading.active_count() == 1
print("done", flush=True)
"""


def run_with_signals(number: signal.Signals, rounds: int, pause: float) -> None:
    """Send the signal to a process again and again until it has returned from `run` so many times."""
    environment = os.environ | {"PYTHONPATH": str(Path(fastpath.__file__).parent.parent)}
    command = [sys.executable, "-c", RUN, str(free_port()), str(rounds)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            # Until Python has started, the signal would end the process.
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            deadline = time.monotonic() + DEADLINE_S
            while process.poll() is None:
                assert time.monotonic() < deadline, "run() did not return"
                process.send_signal(number)
                time.sleep(pause)
            assert process.returncode == 0
            assert process.stdout.read() == b"done\n"
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_returns_on_a_signal(number: signal.Signals) -> None:
    run_with_signals(number, rounds=3, pause=0.05)


def test_run_returns_in_a_storm_of_signals() -> None:
    """Whatever the main thread is doing just then: the handler must not wait for a lock that it holds."""
    run_with_signals(signal.SIGTERM, rounds=30, pause=0)
