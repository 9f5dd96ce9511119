# SPDX-License-Identifier: Apache-2.0
"""`fastpath capture` on a real device with real traffic; scapy reads what it wrote."""

import shlex
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from scapy.utils import rdpcap

from tests.support.hosts.hosts import FASTPATH, Lab, Namespace, listening, wait_for
from tests.support.launch.process import Process
from tests.support.pausing import pause

FULL = "fastpath: there are 4 captures already, which is the limit: end one first\n"


def ping(lab: Lab, count: int = 1) -> None:
    lab.containers[0].run("ping", "-q", "-i0.01", f"-c{count}", "-s100", "-W30", "10.9.0.2")


def start(host: Namespace, *words: str) -> Process:
    """`fastpath capture vx0 …`, which has begun."""
    process, line = launch(host, *words)
    assert line == "capturing vx0 (Ctrl-C ends it)\n"
    return process


def launch(host: Namespace, *words: str) -> tuple[Process, str]:
    """`fastpath capture vx0 …`, and the first line that it says."""
    process = host.start_fastpath("capture", "vx0", *words)
    assert process.stderr is not None
    return process, process.stderr.readline()


def start_with_room(host: Namespace, *words: str) -> Process:
    """`start`, as soon as there is room for one more."""

    def attempt() -> Process | None:
        process, line = launch(host, *words)
        assert line in ("capturing vx0 (Ctrl-C ends it)\n", FULL), line
        return process if line != FULL else None

    process = wait_for(attempt, "there is room for a capture")
    assert process is not None
    return process


def finish(process: Process, number: signal.Signals = signal.SIGINT) -> tuple[str, str]:
    """End it; what it printed to its outputs."""
    process.send_signal(number)
    output, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    return output, error


def echoes(packets: list[Packet]) -> list[tuple[int, int, str]]:
    """The pings among them: (type, sequence, direction)."""
    return [
        (packet[ICMP].type, packet[ICMP].seq, {1: "in", 2: "out"}.get(packet.direction or 0, "?"))
        for packet in packets
        if ICMP in packet
    ]


def test_a_file_has_what_passed(pair: Lab, tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner.pcapng", tmp_path / "outer.pcapng"
    captures = [
        start(pair.hosts[0], "port", "vx0", "--filter", "icmp", "-c", "6", "-w", str(inner)),
        start(pair.hosts[0], "--outer", "-Q", "out", "-w", str(outer)),
    ]
    ping(pair, 3)
    _, error = captures[0].communicate(timeout=30)  # it ends by itself
    assert error == "6 frames captured, 0 frames missed\n"
    pattern = bytes(range(16, 100))  # what ping fills its questions with
    wait_for(lambda: outer.read_bytes().count(pattern) == 3, "three questions were captured")
    _, error = finish(captures[1])
    packets = list(rdpcap(str(inner)))
    found = echoes(packets)  # a ping waits for no answer: the next question may be there before it
    for number in (1, 2, 3):
        assert found.index((8, number, "in")) < found.index((0, number, "out"))
    assert [echo for echo in found if echo[0] == 8] == [(8, 1, "in"), (8, 2, "in"), (8, 3, "in")]
    assert {packet.sniffed_on for packet in packets} == {"vx0"}
    assert [len(packet) for packet in packets] == [14 + 20 + 8 + 100] * 6
    sent = [
        packet for packet in rdpcap(str(outer)) if packet[IP].dst == "192.0.2.2" and len(packet) == 20 + 8 + 8 + 142
    ]
    assert [bytes(packet)[36:] for packet in sent] == [bytes(packet) for packet in packets if packet[ICMP].type == 8]
    assert {packet.sniffed_on for packet in sent} == {"192.0.2.2"}
    assert error.endswith("frames captured, 0 frames missed\n")


def test_a_pipe_is_read_as_it_is_written(pair: Lab) -> None:
    """The first that comes is a section header, at once; a reader who has seen enough ends the capture."""
    read = "import os; print(os.read(0, 64)[:4].hex(), flush=True)"
    command = f"{' '.join(FASTPATH)} capture vx0 port vx0 -w - | {sys.executable} -c '{read}'"
    reader = pair.hosts[0].spawn("sh", "-c", command)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "0a0d0d0a\n"

    def ended() -> bool:
        ping(pair)  # a frame to be written
        return reader.poll() is not None

    wait_for(ended, "the capture ends")
    _, error = reader.communicate(timeout=30)
    assert error.splitlines()[0] == "capturing vx0 (Ctrl-C ends it)"
    assert error.splitlines()[1].endswith("frames captured, 0 frames missed")
    assert len(error.splitlines()) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_lines_for_people(pair: Lab, number: signal.Signals) -> None:
    process = start(pair.hosts[0], "--filter", "icmp")
    ping(pair)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    output, error = finish(process, number)
    assert output == ""
    assert error == "4 frames captured, 0 frames missed\n"
    places = [line.split(":")[2].split(maxsplit=1)[1] for line in lines]
    assert places == ["in  vx0", "out 192.0.2.2", "in  192.0.2.2", "out vx0"]
    assert lines[0].rstrip().endswith("10.9.0.1 > 10.9.0.2 icmp, length 142")


def test_a_killed_reader_s_capture_is_over(pair: Lab, tmp_path: Path) -> None:
    host = pair.hosts[0]
    for _ in range(3):
        captures = [start_with_room(host, "-w", str(tmp_path / f"{n}.pcapng")) for n in range(4)]
        refused = host.fastpath("capture", "vx0", check=False)
        assert refused.returncode == 2
        assert refused.stderr == FULL
        for process in captures:
            process.kill()
        for process in captures:
            process.wait()
        wait_for(lambda: host.fastpath("capture", "vx0", "--duration", "0.01", check=False).returncode == 0, "room")


def test_a_reader_that_stops_reading_misses_frames_and_holds_up_nothing(pair: Lab, tmp_path: Path) -> None:
    path = tmp_path / "slow.pcapng"
    process = start(pair.hosts[0], "-w", str(path))
    pause(process.pid)
    server = pair.containers[1].spawn("iperf3", "-s", "-1")
    wait_for(partial(listening, pair.containers[1], 5201), "iperf3 listens")
    done = pair.containers[0].run("iperf3", "-c", "10.9.0.2", "-n", "100M")
    assert server.wait(timeout=30) == 0, done.stdout
    process.send_signal(signal.SIGCONT)
    ping(pair)
    wait_for(lambda: missed_in(path), "the file says what was missed")
    _, error = finish(process)
    captured, missed = int(error.split()[0]), int(error.split()[3])
    assert captured > 0
    assert missed > 0
    assert len(rdpcap(str(path))) == captured


def missed_in(path: Path) -> bool:
    """Whether the file has a block of statistics."""
    from fastpath.control.capture.blocks import STATISTICS, blocks  # noqa: PLC0415

    return any(block.kind == STATISTICS for block in blocks([path.read_bytes()]))


def test_drops_have_their_reason(pair: Lab, tmp_path: Path) -> None:
    path = tmp_path / "drops.pcapng"
    process = start(pair.hosts[0], "drop", "any", "-c", "1", "-w", str(path))
    frame = bytes(Ether(src="01:00:5e:00:00:01", dst="02:00:00:00:00:01", type=0x88B5) / b"from a group")
    with pair.containers[0].raw() as sock:
        sock.send(frame)
    _, error = process.communicate(timeout=30)
    assert error == "1 frames captured, 0 frames missed\n"
    [packet] = rdpcap(str(path))
    assert bytes(packet) == frame
    assert b"".join(packet.comments or []).startswith(b"drop bad_source_mac: ")


WRONG = {
    "vx0 --filter 'tcp prot 80'": 'fastpath: filter "tcp prot 80": ',
    "vx0 drop nonsense": 'fastpath: there is no drop reason "nonsense"',
    "vx0 port eth7": "fastpath: there is no port eth7 here: the ports are vx0",
    "vx0 remote nonsense": 'fastpath: "nonsense" is not an IP address',
    "vx0 prot vx0": 'fastpath: unknown word "prot": did you mean "port"?',
    "vx0 --duration -1": 'fastpath: invalid --duration "-1.0"',
    "vx9": "fastpath: no fastpath device named vx9 runs here, and no network",
    "vx0 -w /nonexistent/file": "fastpath: No such file or directory: /nonexistent/file",
}


def test_what_cannot_be_is_one_line(pair: Lab) -> None:
    for words, line in WRONG.items():
        done = pair.hosts[0].fastpath("capture", *shlex.split(words), check=False)
        errors = [each for each in done.stderr.splitlines() if not each.startswith("capturing")]
        assert (done.returncode, len(errors)) == (2, 1), words
        assert errors[0].startswith(line)


def test_a_device_that_ends_is_told(pair: Lab) -> None:
    process = start(pair.hosts[0])
    pair.hosts[0].fastpath("vxlan", "del", "vx0")
    _, error = process.communicate(timeout=30)
    assert process.returncode == 2
    assert error.endswith("fastpath: vx0 ended during the capture\n")
