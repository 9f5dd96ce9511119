# SPDX-License-Identifier: Apache-2.0
"""Another kernel: Debian's user-mode-linux, whose root is this machine's own files, read only. It boots in two seconds,
without privileges, and has what the kernel of the machine may lack."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

KERNEL = Path("/usr/bin/linux.uml")
MODULES = Path("/usr/lib/uml/modules")
XSTATE = Path(__file__).with_name("user_mode_xstate.c")
MARK = "user-mode exit status "

# A scratch folder hides what is below it, as this tree may be. The kernel's answer is a line on the console; what pid 1
# does last is to switch the machine off (reboot(2)).
INIT = """#!/bin/sh
export PATH={path} PYTHONDONTWRITEBYTECODE=1 HOME=/tmp LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in {modules}; do modprobe -d {folder} $module || echo "no module $module"; done
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
[ -d {cwd} ] || {{ mkdir -p {cwd}; mount -r -t hostfs -o {cwd} files {cwd}; }}
ip link set lo up
cd {cwd}
{command}
echo "{mark}$?"
{python} -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'
"""


def missing() -> str | None:
    """What is missing to run it, in one line."""
    if not KERNEL.exists() or not MODULES.is_dir():
        return "needs user-mode Linux: apt-get install user-mode-linux, as ./run test does"
    if shutil.which("depmod") is None:
        return "needs depmod and modprobe: apt-get install kmod, as ./run test does"
    return None


def run(command: list[str], modules: list[str], folder: Path, seconds: float) -> tuple[int | None, str]:
    """Run a command in user-mode Linux, as root, with these kernel modules: its exit status (None where it did not come
    to an end), and all that was printed."""
    version = next(path.name for path in MODULES.iterdir())
    tree = folder / "lib/modules" / version
    shutil.copytree(MODULES / version, tree)
    subprocess.run(["depmod", "-b", str(folder), version], check=True)
    init = folder / "init"
    init.write_text(
        INIT.format(
            path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            modules=" ".join(modules),
            folder=shlex.quote(str(folder)),
            cwd=shlex.quote(str(Path.cwd())),
            command=shlex.join(command),
            mark=MARK,
            python=shlex.quote(sys.executable),
        )
    )
    init.chmod(0o755)
    shim = folder / "xstate.so"
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", shim, XSTATE], check=True)
    words = "root=/dev/root rootfstype=hostfs rootflags=/ ro mem=1G con=null con0=fd:0,fd:1 quiet"
    done = subprocess.run(
        [str(KERNEL), *words.split(), f"init={init}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        env=os.environ | {"LD_PRELOAD": str(shim)},
        check=False,
    )
    output = done.stdout.decode(errors="replace").replace("\r", "")
    status = [line.removeprefix(MARK) for line in output.splitlines() if line.startswith(MARK)]
    return int(status[0]) if status else None, output
