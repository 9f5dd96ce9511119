# SPDX-License-Identifier: Apache-2.0
"""The machine that the figures come from: what it is, and how busy it is."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COUNTED = (
    "user+nice+system+irq+softirq of all cores, from /proc/stat (10 ms ticks); idle, iowait and steal are not counted"
)


@dataclass(frozen=True)
class CpuTime:
    """Seconds since boot, over all cores (proc_stat(5))."""

    busy: float
    stolen: float

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.busy - other.busy, self.stolen - other.stolen)


def cpu_time() -> CpuTime:
    """What the machine has spent so far."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = (int(word) for word in file.readline().split()[1:9])
    tick = os.sysconf("SC_CLK_TCK")
    return CpuTime((user + nice + system + irq + softirq) / tick, steal / tick)


def processor() -> str:
    """The CPU's name, as /proc/cpuinfo has it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def congestion_control() -> str:
    """TCP's congestion control, which new network namespaces take over from the machine (tcp(7))."""
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


def commit() -> str:
    """The commit that this program is of; "+" where files were changed since, "" outside of a repository."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        found = git("rev-parse", "--short=12", "HEAD")
        return found + ("+" if found and git("status", "--porcelain", "--untracked-files=no") else "")
    except FileNotFoundError:
        return ""


VERSION_COMMANDS = {
    "iperf3": "iperf3 --version",
    "ovs-vswitchd": "ovs-vswitchd --version",
    "openvpn": "openvpn --version",
    "fastd": "fastd --version",
    "ip": "ip -V",
}


def programs() -> dict[str, str]:
    """The first line of what each program that is installed says about its version."""
    found = {}
    for name, command in VERSION_COMMANDS.items():
        if shutil.which(name) is not None:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            found[name] = next(iter((done.stdout or done.stderr).splitlines()), "").strip()
    return found
