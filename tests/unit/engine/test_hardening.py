# SPDX-License-Identifier: Apache-2.0
"""How the compiled modules were linked and compiled (setup.py): what makes an error in them harder to exploit."""

import importlib.machinery
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import fastpath

ROOT = Path(fastpath.__file__).parent
MODULES = sorted(
    path
    for folder in ("engine", "forwarder", "pcap", "replay", "testing")
    for path in (ROOT / folder).rglob(f"*{importlib.machinery.EXTENSION_SUFFIXES[0]}")
)


def readelf(*words: str) -> str:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed (binutils)")
    return subprocess.run(["readelf", *words], check=True, capture_output=True, text=True).stdout


def test_there_are_modules() -> None:
    assert len(MODULES) > 10


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)).partition(".")[0])
def test_relocations_are_read_only_and_the_stack_is_no_code(module: Path) -> None:
    linked = readelf("--wide", "--program-headers", "--dynamic", str(module))
    assert "GNU_RELRO" in linked
    assert "NOW" in linked  # BIND_NOW, or FLAGS_1 with NOW
    (stack,) = [line for line in linked.splitlines() if "GNU_STACK" in line]
    assert " RWE " not in stack


def test_the_data_path_has_stack_protectors() -> None:
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FASTPATH_SANITIZE", "FASTPATH_DEBUG")):
        pytest.skip("built for the search for errors")
    (worker,) = [path for path in MODULES if path.name.startswith("worker.")]
    symbols = readelf("--wide", "--dyn-syms", str(worker))
    if "__asan_init" in symbols:
        pytest.skip("built with AddressSanitizer")
    assert "__stack_chk_fail" in symbols
