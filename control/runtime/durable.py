# SPDX-License-Identifier: Apache-2.0
"""Small files that have to be there, whole, after a power cut."""

import os
from pathlib import Path


def write(file: Path, data: bytes) -> None:
    """Replace a file that only its owner can read. It has either its old content or the new one, whenever the machine
    stops, and the new one once this returns. Raise OSError."""
    fresh = file.with_name(file.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        os.fchmod(descriptor, 0o600)  # one that a killed process left may have another mode
        opened.write(data)
        opened.flush()
        os.fsync(descriptor)
    fresh.replace(file)
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)  # the name, too
    finally:
        os.close(directory)
