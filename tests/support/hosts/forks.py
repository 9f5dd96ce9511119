# SPDX-License-Identifier: Apache-2.0
"""Forks of the test process."""

import os
import warnings


def fork() -> int:
    """os.fork() where no thread of the test's runs. pytest-xdist has one that waits for orders and holds no lock which
    the child needs; Python 3.12 and later warn of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
