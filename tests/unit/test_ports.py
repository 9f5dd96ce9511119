# SPDX-License-Identifier: Apache-2.0
"""Ports that tests give to their servers."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.support.ports import free_port, free_tcp_port

ROOT = Path(__file__).parents[2]
TAKE = "from tests.support.ports import free_port; print(*(free_port() for _ in range(20)), flush=True); input()"


def test_no_port_is_given_twice_in_a_row_or_while_it_is_used() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as user:
        user.bind(("127.0.0.1", port := free_port()))
        given = [free_port() for _ in range(250)]
    assert port not in given
    assert len(set(given)) >= 190


def test_no_port_is_given_to_two_processes() -> None:
    command = [sys.executable, "-c", TAKE]
    users = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    given = [free_port() for _ in range(20)]
    for user in users:
        assert user.stdout is not None
        given += [int(word) for word in user.stdout.readline().split()]
    for user in users:
        user.communicate("\n")
    assert len(given) == 80
    assert len(set(given)) == 80


def test_tcp_and_ipv6_have_ports_as_well() -> None:
    assert free_tcp_port() != free_port("::1")
