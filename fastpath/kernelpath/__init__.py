# SPDX-License-Identifier: Apache-2.0
"""The kernel path: programs in the kernel that carry frames which the engine need not see (docs/kernel-path.md).

`unavailable()` tells whether there is one. Load `fastpath.kernelpath.programs` only if there is.
"""

import importlib.util
from pathlib import Path

OBJECT = Path(__file__).with_name("kernel_path.o")
"""The programs, as the build made them of src/bpf."""


def unavailable() -> str:
    """Return why this installation has no kernel path, or "" if it has. The kernel may still refuse the programs."""
    if not OBJECT.exists() or importlib.util.find_spec("fastpath.kernelpath.programs") is None:
        return "fastpath was built without clang or libbpf (Debian: clang, libbpf-dev)"
    try:
        importlib.import_module("fastpath.kernelpath.programs")
    except ImportError as error:  # the library that it was built with is not here
        return f"its loader does not start: {error} (Debian: libbpf1)"
    return ""
