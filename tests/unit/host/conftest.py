# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

import pytest

from fastpath.control.host.kernel_thread import KernelThread


@pytest.fixture
def kernel() -> Iterator[KernelThread]:
    thread = KernelThread()
    yield thread
    thread.close()
