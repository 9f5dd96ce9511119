# SPDX-License-Identifier: Apache-2.0
"""The workers and the built-in forwarders, compiled so that every C function tells when it is entered.

Each module has the kernels of src/ linked in, so these two bring instrumented ones; the rest of fastpath is as built.
"""

import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from tests.trace.walks import ROOT

MODULES = ("fastpath.engine.workers.worker", "fastpath.forwarder.forwarder")
COMPILE = (
    *("gcc", "-std=c11", "-D_GNU_SOURCE", "-fvisibility=hidden", "-fPIC", "-O0", "-g1", "-w"),
    *("-finstrument-functions", "-I", str(ROOT / "src"), "-I", sysconfig.get_path("include")),
)


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def build(folder: Path) -> None:
    """Compile the modules and the recorder into a folder."""
    kernels = folder / "kernels"
    kernels.mkdir()
    sources = [str(path) for path in sorted((ROOT / "src").glob("*/*.c")) if path.parent.name != "bpf"]
    _run(*COMPILE, "-c", *sources, cwd=kernels)
    objects = [str(path) for path in kernels.glob("*.o")]
    for module in MODULES:
        source = f"{module.replace('.', '/')}.pyx"
        translated = folder / f"{module}.c"
        _run(sys.executable, "-m", "cython", "-3", "-w", str(ROOT), "-o", str(translated), source, cwd=folder)
        _run(*COMPILE, "-shared", "-o", f"{module}.so", str(translated), *objects, cwd=folder)
    recorder = str(ROOT / "tests" / "trace" / "record.c")
    _run("gcc", "-std=c11", "-D_GNU_SOURCE", "-fPIC", "-shared", "-o", "record.so", recorder, cwd=folder)


def _cython(name: str) -> str | None:
    """Return which function of a .pyx file a C function is, e.g. __pyx_f_8fastpath_6engine_6worker_6Worker_turn."""
    if not name.startswith("__pyx_f_"):
        return None
    rest, parts = name.removeprefix("__pyx_f_"), []
    while rest[:1].isdigit():
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        start = len(digits)
        parts.append(rest[start : start + int(digits)])
        rest = rest[start + int(digits) :].removeprefix("_")
    module = next((m for m in MODULES if ".".join(parts).startswith(m)), None)
    if module is None:
        return None
    inner = ".".join([*parts[module.count(".") + 1 :], rest])
    return f"{module.replace('.', '/')}.pyx: {inner}"


def _named(name: str, place: str) -> str | None:
    """Return a function as ARCHITECTURE.md names it; None where it is neither Cython's nor of src/."""
    file = Path(place.rpartition(":")[0])
    if file.is_relative_to(ROOT / "src"):
        return f"{file.relative_to(ROOT)}: {name}"
    return _cython(name)


def names(lines: Iterable[str]) -> list[str]:
    """Return the functions that the recorder wrote, in order."""
    places = [line.rsplit(" ", 1) for line in lines]
    found: dict[tuple[str, str], str | None] = {}
    for library in {library for library, _ in places}:
        addresses = sorted({address for there, address in places if there == library})
        told = _run("addr2line", "-f", "-e", library, *addresses, cwd=ROOT).splitlines()
        for address, name, place in zip(addresses, told[::2], told[1::2], strict=True):
            found[library, address] = _named(name, place)
    return [step for library, address in places if (step := found[library, address]) is not None]
