# SPDX-License-Identifier: Apache-2.0
"""A real dockerd in a host's namespace, for the benchmark and for the tests, with an image made of busybox.

Every dockerd sees its own host's plugin folder at the place where Docker looks. The names of its containers' namespaces
stay visible to the fastpath daemon, as on a machine. At the end all of it is removed, even after a killed dockerd.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastpath.bench.common.namespaces import Namespace, ip, wait_for
from fastpath.errors import RefusedError

DOCKER = "/usr/bin/docker"
BUSYBOX = Path("/bin/busybox")
FOLDERS = Path("/tmp/fpd-")  # noqa: S108  # sockets need short names
PLUGINS = Path("/run/docker/plugins")
CGROUPS = Path("/sys/fs/cgroup")
START_S = 90.0
WORDS = 180.0  # seconds that a docker command may take on a busy machine

# Mounts of its own but for the names of sandboxes, and its own plugin folder in the place where dockerd looks.
START = """
for mount in $(awk '{ print $5 }' /proc/self/mountinfo); do
    [ "$mount" = "$NAMES" ] || mount --make-private "$mount" 2>/dev/null || :
done
mount --bind "$FOLDER/plugins" /run/docker/plugins
hostname "$HOST"
exec "$@"
"""


class Dockerd:
    """A dockerd, which may be stopped, killed and started again.

    `arguments` are more options of dockerd; its folder's name is `prefix`, the PID of this process and `number`.
    """

    def __init__(
        self, name: str, host: Namespace, number: int, arguments: Sequence[str] = (), prefix: Path = FOLDERS
    ) -> None:
        self.name = name
        self.host = host
        self.folder = Path(f"{prefix}{os.getpid()}-{number}")
        self.plugins = self.folder / "plugins"
        self.log = self.folder / "log"
        self._arguments = arguments
        self._names = self.folder / "exec" / "netns"
        self._cgroup = self.folder.name
        self._process: subprocess.Popen[bytes] | None = None
        self.plugins.mkdir(parents=True)
        self._names.mkdir(parents=True)
        PLUGINS.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(self._names), str(self._names)], check=True)
        subprocess.run(["mount", "--make-shared", str(self._names)], check=True)

    def launch(self) -> None:
        """Start it without waiting."""
        folder = self.folder
        command = [
            *("nsenter", f"--net=/run/netns/{self.host.name}"),
            *("unshare", "--uts", "--mount", "--propagation", "unchanged", "sh", "-c", START, "sh"),
            *("dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
            *("--pidfile", f"{folder}/pid", "--host", f"unix://{folder}/sock", "--cgroup-parent", f"/{self._cgroup}"),
            *self._arguments,
        ]
        environment = os.environ | {"NAMES": str(self._names), "FOLDER": str(folder), "HOST": self.name}
        (folder / "pid").unlink(missing_ok=True)  # of one that was killed
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""

        def answers() -> bool:
            if self._process is None or self._process.poll() is not None:
                raise RefusedError(f"dockerd ended:\n{self.log.read_text()}")
            return self.run("version", check=False).returncode == 0

        wait_for(answers, f"dockerd of {self.name} answers", START_S)

    def load_image(self) -> None:
        """Import the image `busybox`."""
        names = [name for name in subprocess.check_output([BUSYBOX, "--list"], text=True).split() if name != "busybox"]
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            tar.add(BUSYBOX, "bin/busybox")
            for name in names:
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        done = subprocess.run(
            [DOCKER, "--host", f"unix://{self.folder}/sock", "import", "-", "busybox"],
            input=data.getvalue(),
            capture_output=True,
            timeout=WORDS,
            check=False,
        )
        if done.returncode != 0:
            raise RefusedError(f"docker import: {done.stderr.decode().strip()}")

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `docker WORDS`. Raise RefusedError with Docker's message if it fails."""
        command = [DOCKER, "--host", f"unix://{self.folder}/sock", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WORDS, check=False)
        if check and done.returncode != 0:
            raise RefusedError(f"docker {' '.join(words)}: {(done.stdout + done.stderr).strip()}\n{self.tail()}")
        return done

    def docker(self, *words: str) -> str:
        """Run `docker WORDS`. Return what it printed."""
        return self.run(*words).stdout.strip()

    def container(self, name: str, network: str, *more: str, command: str = "sleep 100000") -> str:
        """Run a container. Return its ID."""
        return self.docker("run", "-d", "--init", "--name", name, "--net", network, *more, "busybox", *command.split())

    def inspect(self, kind: str, name: str) -> Any:
        """Return what `docker inspect` shows."""
        return json.loads(self.docker(kind, "inspect", name))[0]

    def tail(self) -> str:
        """Return the end of its log."""
        return f"--- {self.log}\n" + "\n".join(self.log.read_text().splitlines()[-30:])

    def stop(self) -> None:
        """End it with SIGTERM: it ends its containers first."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill dockerd alone with SIGKILL: its containers run on."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.wait(WORDS)
        # Its containerd ends with it. The next dockerd must not mistake an unreaped zombie for a running one.
        with contextlib.suppress(FileNotFoundError):
            file = self.folder / "exec" / "containerd" / "containerd.pid"
            pid = int(file.read_text())
            wait_for(lambda: not _runs(pid), "containerd ends")
            file.unlink()

    def crash(self) -> None:
        """End everything but files, as a power failure does."""
        if self._process is not None:
            self.kill()
        for pid in self.host.pids():  # containerd and what it started
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().startswith("containerd"):
                    _kill(pid)
        _end_containers(self._cgroup)
        _unmount(f"{self._names}/")

    def forget(self) -> None:
        """Remove its data. It must not run."""
        shutil.rmtree(self.folder / "data")

    def close(self) -> None:
        """Remove all of it, whatever state it is in."""
        self.crash()
        _unmount(f"{self.folder}/")
        shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def namespace(self, container: str) -> Iterator[Namespace]:
        """Give a container's namespace a name of ours meanwhile."""
        name = f"{self.host.name}-{container}"
        ip("netns", "attach", name, str(self.inspect("container", container)["State"]["Pid"]))
        try:
            yield Namespace(container, name)
        finally:
            ip("netns", "delete", name)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _end_containers(cgroup: str) -> None:
    """Kill all processes in these control groups, and remove the groups."""
    groups = sorted(CGROUPS.glob(f"*/{cgroup}")) or [CGROUPS / cgroup]
    wait_for(lambda: not _kill_groups(groups), "containers end")
    for group in groups:
        for folder in [*sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True), group]:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _unmount(prefix: str) -> None:
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if line.split()[1].startswith(prefix):
            subprocess.run(["umount", "--lazy", line.split()[1]], check=False)


def remove_leftovers(prefix: Path = FOLDERS) -> None:
    """Remove what killed runs left; their processes ended with their hosts' namespaces."""
    for folder in prefix.parent.glob(f"{prefix.name}*"):
        if not Path(f"/proc/{folder.name.removeprefix(prefix.name).split('-')[0]}").exists():
            _end_containers(folder.name)
            _unmount(f"{folder}/")
            shutil.rmtree(folder, ignore_errors=True)  # another run may remove it at the same time


def _kill_groups(groups: list[Path]) -> bool:
    """Kill the processes in these control groups. Return whether there were any."""
    pids = set()
    for group in groups:
        for file in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                pids |= {int(pid) for pid in file.read_text().split()}
    for pid in pids:
        _kill(pid)
    if pids:
        time.sleep(0.05)
    return bool(pids)
