# SPDX-License-Identifier: Apache-2.0
"""The phases of `./run test`, and what runs beside what.

Tests with hosts, daemons and servers mostly wait, and mind when they are kept from the processor; so they come first
and have it whenever they want it. Compilers, fuzzers and unit tests compute in the time that is left.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.suite.phase import Phase

Lanes = Sequence[Sequence[Phase]]
COMPUTES = 19  # niceness
WORKERS = os.cpu_count() or 1
SANITIZED = Path("build/asan")
FUZZED = ("24", "2000000", "100")  # seconds, packets, rounds: a part of what `./run fuzz` does
FEWER = "--hypothesis-profile=fewer"

# Tests of our C code: in the others, which are of Python alone, sanitizers find nothing. Those with compilers are left
# out as well: they take minutes there, and others test the same C code.
OF_C = tuple(f"tests/unit/{name}" for name in ("kernels", "engine", "forwarders", "pcap", "examples"))


def quick() -> Lanes:
    """What a developer runs at every save; it needs no root."""
    return [
        [Phase("lint", command=("./run", "phase", "lint_quick"))],
        # One more than processors, since some tests wait.
        [Phase("unit", tests=("tests/unit", "-m", "not slow and not compiler", FEWER), workers=WORKERS + 1)],
    ]


def everything() -> Lanes:
    """All that there is."""
    computing = [
        Phase("lint", command=("./run", "phase", "lint")),
        Phase("fuzz", command=("./run", "phase", "fuzz", *FUZZED)),
        Phase("unit", tests=("tests/unit",), workers=WORKERS),
        _sanitized(),  # after it, since what pytest made of the tests is copied
    ]
    return [
        # Two, since tests of the second fork, which the threads of gRPC that those of the first load do not survive.
        [Phase("system", tests=("tests/system", "tests/chaos"), workers=2 * WORKERS)],
        [Phase("netns", tests=("tests/netns",), workers=WORKERS + 1)],
        [replace(phase, niceness=COMPUTES) for phase in computing],
    ]


def _sanitized() -> Phase:
    """The unit tests of C again, in a copy that is built with AddressSanitizer and UndefinedBehaviorSanitizer."""
    return Phase(
        "sanitized",
        prepare=("./run", "phase", "sanitized_copy"),
        folder=SANITIZED,
        tests=(*OF_C, "-m", "not compiler", FEWER),
        workers=WORKERS,
        environment={
            "LD_PRELOAD": f"{_library('libasan.so')} {_library('libubsan.so')}",
            # The interpreter itself leaks by design; leaks of ours are looked for by the fuzzers and the storm.
            "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
        },
    )


def _library(name: str) -> str:
    return subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip()


SETS: dict[str, Callable[[], Lanes]] = {"quick": quick, "everything": everything}
