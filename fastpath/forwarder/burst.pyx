# SPDX-License-Identifier: Apache-2.0
"""Bursts, as forwarders in Python see them: columns of numpy over the frames' headers, and their bytes."""

from libc.stdint cimport uint8_t, uint32_t

from fastpath.kernels.packet.dest cimport FP_DEST_DEFERRED, FP_DEST_PORT, FP_DEST_REMOTE, fp_dest_kind, fp_dest_make
from fastpath.kernels.forward.forward cimport FP_DEFERRED_BURST
from fastpath.kernels.packet.rewrite cimport (
    FP_SIDE_DESTINATION,
    FP_SIDE_SOURCE,
    fp_record,
    fp_rewrite_ip,
    fp_rewrite_mac,
    fp_rewrite_pop_vlan,
    fp_rewrite_port,
    fp_rewrite_push_vlan,
    fp_rewrite_replace,
    fp_rewrite_ttl,
    fp_room,
    fp_side,
)
from fastpath.kernels.tables.tables cimport fp_frame

from fastpath.addresses import IPAddress, parse_host, parse_mac
from fastpath.errors import UsageError
FROM = 28  # by how many bits the kind of a port or remote is shifted

cdef object np = None  # numpy and record.py, loaded with the first burst: most processes never have one
cdef object RECORD
cdef tuple COLUMNS


cdef int load() except -1:
    """Load numpy."""
    global np, RECORD, COLUMNS
    if np is None:
        import numpy
        from fastpath.forwarder import record
        assert sizeof(fp_record) == record.RECORD.itemsize, "record.py and src/packet/record.h differ"
        np, RECORD, COLUMNS = numpy, record.RECORD, tuple(record.COLUMNS)
    return 0


cdef class FrameBytes:
    """The buffer behind a memoryview of a frame. It keeps the memory alive, but not its content."""

    cdef uint8_t *data
    cdef Py_ssize_t shape[1]
    cdef Py_ssize_t strides[1]
    cdef bint writable
    cdef object owner

    def __getbuffer__(self, Py_buffer *view, int flags):
        if flags & 0x0001 and not self.writable:  # PyBUF_WRITABLE
            raise BufferError("this forwarder does not say that it rewrites frames")
        view.buf = self.data
        view.obj = self
        view.len = self.shape[0]
        view.readonly = not self.writable
        view.itemsize = 1
        view.format = "B"
        view.ndim = 1
        view.shape = self.shape
        view.strides = self.strides
        view.suboffsets = NULL
        view.internal = NULL


cdef class Burst:
    """Up to 256 frames for a forwarder to decide on.

    Every column of `record.RECORD` is an attribute: an array with an element for each frame. The forwarder fills in
    `out`. All arrays and views are valid until `forward` returns. `now` is a time in seconds.
    """

    def __cinit__(self, owner):
        cdef uint8_t[::1] memory
        load()
        self.owner = owner
        self.array = np.zeros(FP_DEFERRED_BURST, RECORD)
        memory = self.array.view(np.uint8)
        self.record = <fp_record *>&memory[0]
        self.copies = []
        self.views = []
        self.columns = {}
        self.present = {}
        for name in COLUMNS:
            column = self.array[name]
            column.flags.writeable = name == "out"
            self.columns[name] = column

    cdef void begin(self, fp_frame *frames, const fp_room *room, const uint32_t *place, uint32_t count, bint writable, double now):
        if count != self.count:
            self.present = {}
        self.frames, self.room, self.place, self.count = frames, room, place, count
        self.writable, self.now = writable, now

    cdef void end(self):
        """Make the arrays that were handed out read-only: their memory is for other frames from now on."""
        self.count = 0
        self.present = {}
        for view in self.views:
            try:
                view.release()
            except BufferError:  # somebody has a view of the view
                pass
        self.views.clear()

    def __len__(self):
        return self.count

    @property
    def records(self):
        """All columns, as one structured array, read-only."""
        view = self.array[: self.count]
        view.flags.writeable = False
        return view

    def __getattr__(self, name):
        column = self.present.get(name)
        if column is None:
            if name not in self.columns:
                raise AttributeError(f"a burst has no column {name}: there are {', '.join(COLUMNS)}")
            column = self.present[name] = self.columns[name][: self.count]
        return column

    @property
    def out(self):
        """Where each frame goes: the number of a port or remote, FLOOD, DROP, one of the forwarder's own reasons, or
        PASS.

        PASS is the default: the next forwarder of the chain decides.
        """
        return self.__getattr__("out")

    @out.setter
    def out(self, value):
        self.__getattr__("out")[...] = value

    @property
    def from_port(self):
        """Which frames came from a port, not from a remote."""
        return self.port >> FROM == FP_DEST_PORT

    @property
    def from_remote(self):
        """Which frames came from a remote."""
        return self.port >> FROM == FP_DEST_REMOTE

    @property
    def to_remote(self):
        """Which frames go to one remote, as `out` says now."""
        return self.out >> FROM == FP_DEST_REMOTE

    cdef list where(self, which):
        """Return the indices that a mask, an array of indices or one index stands for. Raise IndexError."""
        cdef Py_ssize_t i
        found = np.atleast_1d(np.asarray(which))
        if found.dtype == np.bool_:
            if len(found) != self.count:
                raise IndexError(f"a mask of {len(found)} for a burst of {self.count} frames")
            found = np.flatnonzero(found)
        cdef list indices = found.tolist()
        for i in indices:
            if not 0 <= i < self.count:
                raise IndexError(f"there is no frame {i} in a burst of {self.count}")
        return indices

    cdef fp_frame *at(self, Py_ssize_t i) noexcept:
        return &self.frames[self.place[i]]

    def frame(self, Py_ssize_t i):
        """Return the bytes of frame `i` from its Ethernet header on, as a memoryview.

        It is writable if the forwarder `rewrites`. A checksum may be unfinished, and a super-frame stands for many
        frames (`segments`).
        """
        cdef FrameBytes result
        cdef fp_frame *frame
        if not 0 <= i < self.count:
            raise IndexError(f"there is no frame {i} in a burst of {self.count}")
        frame = self.at(i)
        result = FrameBytes.__new__(FrameBytes)
        result.data = frame.data
        result.shape[0] = frame.length
        result.strides[0] = 1
        result.writable = self.writable
        result.owner = self.owner
        view = memoryview(result)
        if self.writable:
            self.views.append(view)
        return view

    def copy(self, which, to):
        """Send also copies of frames to a port or remote. They show the frame as it leaves the forwarder."""
        cdef uint32_t target = to
        for i in self.where(which):
            self.copies.append((self.place[i], target))

    def send(self, which, to):
        """Send frames to a port or remote at once, as they are now, and set `out` to SENT.

        So one frame can be sent several times in different forms: change it and send it again.
        """
        cdef Py_ssize_t i
        cdef uint32_t target = to
        if fp_dest_kind(target) not in (FP_DEST_PORT, FP_DEST_REMOTE):
            raise UsageError(f"{to} is not the number of a port or remote")
        for i in self.where(which):
            if self.deliver(self.deliverer, self.place[i], target, self.writable):
                self.record[i].out = fp_dest_make(FP_DEST_DEFERRED, 0)

    cdef int check_writable(self) except -1:
        if not self.writable:
            raise UsageError("a forwarder that changes frames has to say so: rewrites = True")
        return 0

    cdef object change(self, operation change_one, which, values, dtype, int side=0, tuple shape=()):
        """Change frames, each to its value or all to one value. Return a mask of the frames that were changed."""
        cdef Py_ssize_t i
        self.check_writable()
        indices = self.where(which)
        wanted = np.broadcast_to(np.asarray(values, dtype), (len(indices), *shape))
        done = np.zeros(self.count, np.bool_)
        for i, value in zip(indices, wanted.tolist(), strict=True):
            done[i] = change_one(self, i, value, side)
        return done

    def set_src_mac(self, which, mac):
        """Write other source addresses: numbers, or one address in any form.

        As in the methods that follow, `which` is a mask, indices or one index, and the value is one for all frames or
        one for each. Return a mask of the frames that were changed. The columns still show the frames as they came.
        """
        return self.change(set_mac, which, mac_values(mac), np.uint64, FP_SIDE_SOURCE)

    def set_dst_mac(self, which, mac):
        """Write other destination addresses."""
        return self.change(set_mac, which, mac_values(mac), np.uint64, FP_SIDE_DESTINATION)

    def set_src_ip(self, which, ip):
        """Write other IPv4 source addresses (numbers, or one as text) into IPv4 packets."""
        return self.change(set_ip, which, ip_values(ip, 4), np.uint32, FP_SIDE_SOURCE)

    def set_dst_ip(self, which, ip):
        """Write other IPv4 destination addresses (numbers, or one as text) into IPv4 packets."""
        return self.change(set_ip, which, ip_values(ip, 4), np.uint32, FP_SIDE_DESTINATION)

    def set_src_ip6(self, which, ip):
        """Write other IPv6 source addresses (upper and lower half, or one as text) into IPv6 packets that are no
        fragments."""
        return self.change(set_ip6, which, ip_values(ip, 6), np.uint64, FP_SIDE_SOURCE, (2,))

    def set_dst_ip6(self, which, ip):
        """Write other IPv6 destination addresses (upper and lower half, or one as text) into IPv6 packets that are no
        fragments."""
        return self.change(set_ip6, which, ip_values(ip, 6), np.uint64, FP_SIDE_DESTINATION, (2,))

    def set_src_port(self, which, udp_or_tcp_port):
        """Write other source ports into TCP and UDP packets that are no fragments."""
        return self.change(set_port, which, udp_or_tcp_port, np.uint16, FP_SIDE_SOURCE)

    def set_dst_port(self, which, udp_or_tcp_port):
        """Write other destination ports into TCP and UDP packets that are no fragments."""
        return self.change(set_port, which, udp_or_tcp_port, np.uint16, FP_SIDE_DESTINATION)

    def decrement_ttl(self, which):
        """Decrement TTL or hop limit, except where it would become 0."""
        return self.change(take_one_from_ttl, which, 0, np.uint8)

    def push_vlan(self, which, vlan):
        """Put an 802.1Q tag with this VLAN identifier (0 … 4095) around frames that have less than two."""
        return self.change(push_tag, which, vlan, np.uint16)

    def pop_vlan(self, which):
        """Remove the outer VLAN tag."""
        return self.change(pop_tag, which, 0, np.uint8)

    def replace(self, Py_ssize_t i, data):
        """Replace frame `i` by another one of at least 14 bytes, and at most 64 more than it has. Return whether it
        was."""
        cdef bytes wanted = bytes(data)
        self.check_writable()
        self.where(i)
        return fp_rewrite_replace(self.at(i), <const uint8_t *><const char *>wanted, len(wanted), &self.room[self.place[i]])


def mac_values(mac):
    """Return a value that numpy can convert to numbers. Raise UsageError for text or bytes that are no MAC address."""
    return parse_mac(mac) if isinstance(mac, str | bytes | bytearray | memoryview) else mac


def ip_values(ip, version):
    """Return a value that numpy can convert to numbers. Raise UsageError if it is not an address of that version."""
    if not isinstance(ip, str | IPAddress):
        return ip
    address = parse_host(ip)
    if address.version != version:
        raise UsageError(f"{address} is an IPv{address.version} address: an IPv{version} address is needed here")
    return int(address) if version == 4 else divmod(int(address), 1 << 64)


# What Burst.change does to one frame; whether it could.

cdef bint set_mac(Burst burst, Py_ssize_t i, object mac, int side) except -1:
    fp_rewrite_mac(burst.at(i), <fp_side>side, mac)
    return True


cdef bint set_ip(Burst burst, Py_ssize_t i, object ip, int side) except -1:
    cdef bytes packed = ip.to_bytes(4, "big")
    return fp_rewrite_ip(burst.at(i), <fp_side>side, 4, <const uint8_t *><const char *>packed)


cdef bint set_ip6(Burst burst, Py_ssize_t i, object halves, int side) except -1:
    cdef bytes packed = (halves[0] << 64 | halves[1]).to_bytes(16, "big")
    return fp_rewrite_ip(burst.at(i), <fp_side>side, 6, <const uint8_t *><const char *>packed)


cdef bint set_port(Burst burst, Py_ssize_t i, object port, int side) except -1:
    return fp_rewrite_port(burst.at(i), <fp_side>side, port)


cdef bint take_one_from_ttl(Burst burst, Py_ssize_t i, object value, int side) except -1:
    return fp_rewrite_ttl(burst.at(i))


cdef bint push_tag(Burst burst, Py_ssize_t i, object vlan, int side) except -1:
    return fp_rewrite_push_vlan(burst.at(i), vlan, &burst.room[burst.place[i]])


cdef bint pop_tag(Burst burst, Py_ssize_t i, object value, int side) except -1:
    return fp_rewrite_pop_vlan(burst.at(i))
