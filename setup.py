# SPDX-License-Identifier: Apache-2.0
"""The compiled part of the build; everything else is in pyproject.toml.

FASTPATH_DEBUG=1         unoptimised, with assertions
FASTPATH_SANITIZE=1      AddressSanitizer and UndefinedBehaviorSanitizer (see `./run test`)
FASTPATH_STRICT=1        warnings in our own C code are errors
FASTPATH_NO_EXTENSION=1  nothing compiled at all: ./run installs the package and then builds in place
CYTHON_CACHE_DIR=FOLDER  what Cython made of a module is kept there, and made once

The kernel path (src/bpf, fastpath/kernelpath) is built where clang and libbpf are, and left out elsewhere.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wvla"]
MODULES = [
    "engine.captures.capture",
    "engine.workers.forwarder_thread",
    "engine.engine",
    "engine.fdb",
    "engine.neighbours",
    "engine.ports.port",
    "engine.remote",
    "engine.segment",
    "engine.tables",
    "engine.workers.uplink",
    "engine.workers.worker",
    "forwarder.burst",
    "forwarder.compiled_forwarder",
    "forwarder.forwarder",
    "forwarder.lookup",
    "forwarder.native",
    "pcap.pcap",
    "replay.recording",
    "replay.replay",
    "testing.oneshot",
]


def wanted(name: str) -> bool:
    """Return whether the environment variable is set to anything but 0."""
    return os.environ.get(name, "") not in ("", "0")


# Packets of strangers are parsed here: an error is to end the process, not to be used. Of control-flow protection only
# the shadow stack: Linux has no indirect branch tracking for programs, and it would cost each function an instruction.
HARDENED = ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong"]
HARDENED += {"x86_64": ["-fcf-protection=return"], "aarch64": ["-mbranch-protection=standard"]}.get(
    platform.machine(), []
)

# Cython makes 20 MB of C, of which little is in the path of a frame: that is optimised less than the kernels, and its
# debugging information has line numbers only. Most of the time that a build takes is saved so.
compile_args = ["-std=c11", "-D_GNU_SOURCE", "-fvisibility=hidden"]
link_args = ["-Wl,-z,relro,-z,now,-z,noexecstack"]
if wanted("FASTPATH_SANITIZE"):
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    link_args += sanitize
    compile_args += [*sanitize, "-fno-omit-frame-pointer"]
    kernels_args, modules_args = ["-g", "-O1"], ["-g1", "-O0"]
elif wanted("FASTPATH_DEBUG"):
    kernels_args, modules_args = ["-g", "-O0", "-UNDEBUG"], ["-g", "-O0", "-UNDEBUG"]
else:
    kernels_args, modules_args = ["-O3", *HARDENED], ["-g1", "-O2", *HARDENED]
strict = ["-Werror"] if wanted("FASTPATH_STRICT") else []

BPF = Path("src/bpf")  # for the kernel's machine, not for this one
headers = sorted(str(path) for pattern in ("*.h", "*.def") for path in Path("src").rglob(pattern) if path.parent != BPF)
kernels = (
    "fpkernels",
    {
        "sources": sorted(str(path) for path in Path("src").rglob("*.c") if path.parent != BPF),
        "obj_deps": {"": headers},
        "include_dirs": ["src"],
        "cflags": ["-fPIC", *compile_args, *kernels_args, *WARNINGS, *strict],
    },
)


def extension(name: str, source: str, *more: str, libraries: Sequence[str] = ()) -> Extension:
    """Return a Cython module that is linked with the kernels, and with its own C files if it has any."""
    return Extension(
        name,
        [source, *more],
        include_dirs=["src"],
        libraries=["fpkernels", *libraries],
        depends=[*headers, *kernels[1]["sources"], *(name.replace(".c", ".h") for name in more)],
        extra_compile_args=[*compile_args, *modules_args, "-Wno-unused-function"],
        extra_link_args=link_args,
    )


extensions = [extension(f"fastpath.{module}", f"fastpath/{module.replace('.', '/')}.pyx") for module in MODULES]
if not wanted("FASTPATH_SANITIZE"):  # nothing is measured there
    native = [f"bench/e2e/loops/{name}" for name in ("native.pyx", "datagrams.c", "shuttle.c", "trains.c")]
    extensions.append(extension("fastpath.bench.micro.loops", "bench/micro/loops.pyx"))
    extensions.append(extension("fastpath.bench.e2e.loops.native", *native))


class BuildExt(build_ext):
    """Builds the kernel path's programs, too."""

    def run(self) -> None:
        """Build the modules, then the programs."""
        super().run()
        if kernel_path:
            place = Path(self.get_ext_fullpath("fastpath.kernelpath.programs"))
            compile_bpf(BPF / "kernel_path.c", place.with_name("kernel_path.o"))


def compile_bpf(source: Path, to: Path) -> None:
    """Compile a program for the kernel (any from 5.10 on) unless it is younger than its sources. With -g come the types
    that describe the maps; of the rest of it nothing is needed."""
    if to.exists() and all(path.stat().st_mtime < to.stat().st_mtime for path in BPF.iterdir()):
        return
    machine = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    words = ["clang", "-target", "bpf", "-mcpu=v2", "-O2", "-g", "-fdebug-compilation-dir=.", "-Wall", "-Wextra"]
    words += [*strict, "-Isrc", f"-I/usr/include/{machine}", "-c", str(source), "-o", str(to)]
    to.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(words, check=True)
    if strip := shutil.which("llvm-strip"):
        subprocess.run([strip, "--strip-debug", str(to)], check=True)


def has_libbpf() -> bool:
    """Return whether a program can be linked with libbpf 1.x."""
    test = "#include <bpf/libbpf.h>\n#if LIBBPF_MAJOR_VERSION < 1\n#error\n#endif\nint main(void) { return 0; }\n"
    words = ["cc", "-x", "c", "-", "-lbpf", "-o", os.devnull]
    return subprocess.run(words, input=test, text=True, capture_output=True, check=False).returncode == 0


if wanted("FASTPATH_NO_EXTENSION"):
    setup()
    sys.exit()

kernel_path = shutil.which("clang") is not None and has_libbpf()
if kernel_path:
    programs = extension("fastpath.kernelpath.programs", "fastpath/kernelpath/programs.pyx", libraries=["bpf"])
    programs.depends += map(str, BPF.iterdir())
    extensions.append(programs)

setup(
    cmdclass={"build_ext": BuildExt},
    libraries=[kernels],
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython",
        nthreads=os.cpu_count() or 1,
        cache="CYTHON_CACHE_DIR" in os.environ,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "embedsignature": True,
            "warn.undeclared": False,
        },
    ),
)
