# SPDX-License-Identifier: Apache-2.0
"""The C loops of the benchmark, without the GIL: the load (datagrams.c, trains.c) and the null overlay
(shuttle.c).

The programs around them are `traffic/load.py` and `sites/null_overlay.py`.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

import array
import os


cdef extern from "datagrams.h" nogil:
    enum:
        FPB_BATCH
        FPB_MIN_SIZE
        FPB_MAX_SIZE
        FPB_NO_NUMBER
    struct fpb_window:
        uint64_t begin
        uint64_t count
        uint64_t end
    struct fpb_tally:
        uint64_t datagrams
        uint64_t total
        uint64_t retries
        uint64_t late
        uint64_t odd
        uint64_t lost
    struct fpb_pace:
        double rate
        uint32_t batch
        uint64_t tick
    int fpb_send(const int *sockets, uint32_t flows, uint32_t size, const fpb_pace *pace,
                 const fpb_window *window, fpb_tally *tally)
    int fpb_receive(int socket, uint32_t size, uint32_t number_at, const fpb_window *window, fpb_tally *tally)
    int fpb_frames(int socket, const uint8_t *frame, uint32_t size, uint32_t mac_at, uint32_t entries,
                   uint64_t limit, double rate, const fpb_window *window, fpb_tally *tally)
    int fpb_request(int socket, uint32_t size, const fpb_window *window, uint32_t *rtt, uint64_t room,
                    fpb_tally *tally)
    int fpb_respond(int socket, const fpb_window *window, fpb_tally *tally)

cdef extern from "trains.h" nogil:
    enum:
        FPB_TRAIN_BYTES
    int fpb_stream(int socket, uint32_t size, uint32_t train, uint32_t limit, const fpb_window *window,
                   fpb_tally *tally)
    int fpb_absorb(int socket, uint32_t size, const fpb_window *window, fpb_tally *tally)

cdef extern from "shuttle.h" nogil:
    int fpb_shuttle(int tap, int udp, int segment)


MAX_FLOWS = 1024
BATCH = FPB_BATCH
MIN_SIZE = FPB_MIN_SIZE
MAX_SIZE = FPB_MAX_SIZE


cdef dict _answer(int error, fpb_tally *tally):
    if error != 0:
        raise OSError(error, os.strerror(error))
    return dict(tally[0])


cdef fpb_window _window(tuple times) except *:
    cdef fpb_window window
    window.begin, window.count, window.end = times
    return window


cdef int _check_size(uint32_t size) except -1:
    if not FPB_MIN_SIZE <= size <= FPB_MAX_SIZE:
        raise ValueError(f"a payload of {size} bytes: {FPB_MIN_SIZE} to {FPB_MAX_SIZE} are possible")
    return 0


def send(list sockets, uint32_t size, double rate, tuple times, uint32_t batch=FPB_BATCH, uint64_t tick=0):
    """Send over connected sockets in turn, `rate` per second (0: as fast as they are taken).

    `batch` datagrams at most go in one call; `tick` is how many ns the sender sleeps where none is due, 0: it spins.
    """
    cdef fpb_pace pace = fpb_pace(rate, batch, tick)
    cdef fpb_window window = _window(times)
    cdef fpb_tally tally = fpb_tally(0, 0, 0, 0, 0, 0)
    cdef int descriptors[1024]
    cdef uint32_t i, flows = len(sockets)
    cdef int error
    _check_size(size)
    if not 1 <= flows <= MAX_FLOWS:
        raise ValueError(f"{flows} flows: 1 to {MAX_FLOWS} are possible")
    if not 1 <= batch <= FPB_BATCH:
        raise ValueError(f"{batch} datagrams in one call: 1 to {FPB_BATCH} are possible")
    for i in range(flows):
        descriptors[i] = sockets[i]
    with nogil:
        error = fpb_send(descriptors, flows, size, &pace, &window, &tally)
    return _answer(error, &tally)


def frames(int socket, bytes frame, uint32_t mac_at, uint32_t entries, uint64_t limit, double rate, tuple times):
    """Send a frame whose MAC address at `mac_at` goes through `entries` values."""
    cdef fpb_window window = _window(times)
    cdef fpb_tally tally = fpb_tally(0, 0, 0, 0, 0, 0)
    cdef const uint8_t *start = <const uint8_t *><const char *>frame
    cdef uint32_t size = len(frame)
    cdef int error
    _check_size(size)
    if mac_at + 6 > size or not 0 < entries <= 1 << 24 or entries & (entries - 1):
        raise ValueError(f"MAC address at {mac_at}, {entries} entries: 1, 2, 4, … to 2^24 are possible")
    with nogil:
        error = fpb_frames(socket, start, size, mac_at, entries, limit, rate, &window, &tally)
    return _answer(error, &tally)


def receive(int socket, uint32_t size, tuple times, bint numbered=True):
    """Receive, and return the tally."""
    cdef uint32_t number_at = 0 if numbered else <uint32_t>FPB_NO_NUMBER
    cdef fpb_window window = _window(times)
    cdef fpb_tally tally = fpb_tally(0, 0, 0, 0, 0, 0)
    cdef int error
    _check_size(size)
    with nogil:
        error = fpb_receive(socket, size, number_at, &window, &tally)
    return _answer(error, &tally)


def request(int socket, uint32_t size, tuple times):
    """Send requests one after another. Return the tally, and the round-trip times in ns."""
    cdef fpb_window window = _window(times)
    cdef fpb_tally tally = fpb_tally(0, 0, 0, 0, 0, 0)
    cdef uint64_t room = max(1000, (window.end - window.count) // 2000)  # one every 2 µs at most
    cdef uint32_t[::1] times_ns
    cdef int error
    _check_size(size)
    taken = array.array("I", bytes(4 * room))
    times_ns = taken
    with nogil:
        error = fpb_request(socket, size, &window, &times_ns[0], room, &tally)
    return _answer(error, &tally), taken[: tally.datagrams]


def respond(int socket, tuple times):
    """Return every datagram to its sender."""
    cdef fpb_window window = _window(times)
    cdef fpb_tally tally = fpb_tally(0, 0, 0, 0, 0, 0)
    cdef int error
    with nogil:
        error = fpb_respond(socket, &window, &tally)
    return _answer(error, &tally)


def stream(int socket, uint32_t size, uint32_t train, uint32_t limit, tuple times):
    """Send trains of datagrams, `limit` datagrams at most being unacknowledged."""
    cdef fpb_window window = _window(times)
    cdef fpb_tally tally = fpb_tally(0, 0, 0, 0, 0, 0)
    cdef int error
    _check_size(size)
    if not (1 <= train <= limit and train * size <= FPB_TRAIN_BYTES):
        raise ValueError(f"trains of {train} datagrams: they fit {FPB_TRAIN_BYTES} bytes, and the limit of {limit}")
    with nogil:
        error = fpb_stream(socket, size, train, limit, &window, &tally)
    return _answer(error, &tally)


def absorb(int socket, uint32_t size, tuple times):
    """Receive datagrams, alone or in trains, and acknowledge them."""
    cdef fpb_window window = _window(times)
    cdef fpb_tally tally = fpb_tally(0, 0, 0, 0, 0, 0)
    cdef int error
    _check_size(size)
    with nogil:
        error = fpb_absorb(socket, size, &window, &tally)
    return _answer(error, &tally)


def shuttle(int tap, int udp, int segment):
    """Move frames between TAP and UDP socket until an error, and raise it."""
    cdef int error
    with nogil:
        error = fpb_shuttle(tap, udp, segment)
    raise OSError(error, os.strerror(error))
