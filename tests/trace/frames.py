# SPDX-License-Identifier: Apache-2.0
"""One frame out and one frame in through an engine whose workers and forwarders are instrumented.

python -m tests.trace.frames FOLDER   with record.so preloaded; writes FOLDER/out and FOLDER/in
"""

import ctypes
import importlib.util
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from ipaddress import ip_address
from pathlib import Path

from tests.trace.instrumented import MODULES


class Instrumented:
    """Finds the instrumented modules before the others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return where the module is, if it is one of them."""
        if name not in MODULES:
            return None
        file = str(self._folder / f"{name}.so")
        return importlib.util.spec_from_file_location(name, file, loader=ExtensionFileLoader(name, file))


def main() -> None:
    """Send a super-frame of TCP from a port to a remote, and a train of packets from a remote to a port."""
    folder = Path(sys.argv[1])
    sys.meta_path.insert(0, Instrumented(folder))
    from tests.support.engine.frames import mac  # noqa: PLC0415  # these load the modules
    from tests.support.engine.lab import Lab  # noqa: PLC0415
    from tests.support.engine.streams import Stream, pattern  # noqa: PLC0415

    recorder = ctypes.CDLL(None)
    recorder.record_write.argtypes = [ctypes.c_char_p]

    def write(name: str) -> None:
        assert recorder.record_write(str(folder / name).encode()) > 0

    stream = Stream()  # to mac(2)
    with Lab() as lab:
        segment, far = lab.engine.add_segment(42), lab.far(2)
        port = segment.add_memory_port("eth0", mtu=1450)
        segment.fdb.set(mac(2), segment.add_remote(far.address))
        vnet, frame = stream.super_frame(pattern(4000), 1390)
        port.allowed = [(frame[6:12], [ip_address(frame[26:30])])]
        recorder.record_start()
        lab.send(port, frame, vnet=vnet, segments=3)
        lab.poll()
        write("out")
    with Lab() as lab:
        segment, far = lab.engine.add_segment(42), lab.far(2)
        segment.fdb.set(mac(2), segment.add_memory_port("eth0", mtu=1450))
        frames = stream.segments([1000, 1000, 1000])
        recorder.record_start()
        far.send_train(42, frames)
        lab.poll()
        write("in")


if __name__ == "__main__":
    main()
