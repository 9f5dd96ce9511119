# SPDX-License-Identifier: Apache-2.0
"""Forks of the test process: never beside threads of gRPC, on whose locks a child waits forever."""

import os
import threading
import warnings


def fork() -> int:
    """os.fork() where no thread of the test's runs. pytest-xdist has one that waits for orders and holds no lock which
    the child needs; Python 3.12 and later warn of it."""
    threads = [thread.name for thread in threading.enumerate() if "_poll_wrapper" in thread.name]
    assert not threads, "gRPC's threads run, on whose locks a child may hang: fork in tests without etcd"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
