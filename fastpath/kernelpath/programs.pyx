# SPDX-License-Identifier: Apache-2.0
"""Load the programs of src/bpf into the kernel with libbpf, and read and write their maps."""

import contextlib
import errno
import os
import time

from libc.errno cimport errno as c_errno
from libc.stdint cimport uint32_t
from libc.string cimport memset

from fastpath.kernelpath.libbpf cimport *

from fastpath.errors import RefusedError

cdef extern from "bpf/verdict_text.h" nogil:
    enum:
        FP_VERDICTS
    struct fp_verdict:
        const char *name
        const char *sentence
    fp_verdict fp_verdict_text[FP_VERDICTS]

VERDICT_SENTENCES = {fp_verdict_text[i].name.decode(): fp_verdict_text[i].sentence.decode() for i in range(FP_VERDICTS)}
PER_CPU = (5, 6)  # BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY
LOG_SIZE = 1 << 16
LOG_LINES = 4  # of the verifier, which explains at the end what it refuses
MAPS_OF_A_PROGRAM = 16
# Kernels from 6.1 on have a small store of entries for each CPU, and fill it up a moment after it was used up.
TRIES, PAUSE_S = 100, 0.01

libbpf_set_print(NULL)  # it would write to stderr


def refused(what, number):
    """Return the error for a negative errno."""
    reason = os.strerror(-number)
    if -number in (errno.EPERM, errno.EACCES):
        reason = "no permission (CAP_BPF and CAP_NET_ADMIN), run as root"
    return RefusedError(f"cannot {what}: {reason}")


def last_lines(text):
    """Return the last lines of a log as one line."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return " / ".join(lines[max(0, len(lines) - LOG_LINES):])


class Map:
    """A map of the programs, by its file descriptor, which belongs to the Programs. Keys and values are bytes.

    The value of a map per CPU is the values of all CPUs that the machine may have, one behind the other.
    """

    def __init__(self, name, fd, key_size, value_size, per_cpu):
        self.name = name
        self.fd = fd
        self.key_size = key_size
        self.value_size = (value_size + 7) // 8 * 8 * libbpf_num_possible_cpus() if per_cpu else value_size

    def get(self, bytes key):
        """Return the value, or None if there is no such key."""
        self._check(key, self.key_size)
        value = bytearray(self.value_size)
        cdef unsigned char[::1] room = value
        cdef int number = bpf_map_lookup_elem(self.fd, <const char *>key, &room[0])
        if number == -errno.ENOENT:
            return None
        if number < 0:
            raise refused(f"read the map {self.name}", number)
        return bytes(value)

    def set(self, bytes key, bytes value):
        """Add or replace an entry. Raise RefusedError, for example when the map is full."""
        self._check(key, self.key_size)
        self._check(value, self.value_size)
        cdef int number = -errno.ENOMEM
        for _ in range(TRIES):
            number = bpf_map_update_elem(self.fd, <const char *>key, <const char *>value, BPF_ANY)
            if number != -errno.ENOMEM:
                break
            time.sleep(PAUSE_S)
        if number == -errno.E2BIG:
            raise RefusedError(f"cannot add to the map {self.name}: it is full")
        if number < 0:
            raise refused(f"change the map {self.name}", number)

    def delete(self, bytes key):
        """Remove an entry. Return whether it was there."""
        self._check(key, self.key_size)
        cdef int number = bpf_map_delete_elem(self.fd, <const char *>key)
        if number < 0 and number != -errno.ENOENT:
            raise refused(f"change the map {self.name}", number)
        return number == 0

    def keys(self):
        """Return all keys. Only one process may change the map meanwhile: this one."""
        found = []
        key = bytearray(self.key_size)
        cdef unsigned char[::1] room = key
        cdef int number = bpf_map_get_next_key(self.fd, NULL, &room[0])
        while number == 0:
            last = bytes(key)
            found.append(last)
            number = bpf_map_get_next_key(self.fd, <const char *>last, &room[0])
        if number != -errno.ENOENT:
            raise refused(f"read the map {self.name}", number)
        return found

    def _check(self, value, size):
        if len(value) != size:
            raise ValueError(f"{self.name}: {len(value)} bytes, not {size}")


class Program:
    """A loaded program: its name, its file descriptor, its number in the kernel, and its tag.

    Two programs of the same code have the same tag.
    """

    def __init__(self, name, fd, number, tag):
        self.name = name
        self.fd = fd
        self.id = number
        self.tag = tag


cdef class Programs:
    """The programs of an object file, loaded, and their maps.

    `filters` are the numbers of programs that run already, for example those of an earlier process. If they are of the
    same kind, their maps are taken over with all entries: `taken_over` is True then. Raise RefusedError with the
    verifier's last lines.
    """

    cdef bpf_object *_object
    cdef readonly dict programs, maps
    cdef readonly bint taken_over

    def __cinit__(self, path, filters=()):
        self._object = bpf_object__open_file(os.fsencode(path), NULL)
        if self._object == NULL:
            raise refused(f"read the programs in {path}", -c_errno)
        self.taken_over = self._take_over(filters)
        log = bytearray(LOG_SIZE)
        try:
            self._load(log)
        except BaseException:
            self.close()
            raise

    cdef _load(self, bytearray log):
        cdef unsigned char[::1] room = log
        cdef bpf_program *program = bpf_object__next_program(self._object, NULL)
        while program != NULL:  # the first that is refused is the last one that is loaded: they can share the log
            bpf_program__set_log_buf(program, <char *>&room[0], LOG_SIZE)
            program = bpf_object__next_program(self._object, program)
        cdef int number = bpf_object__load(self._object)
        if number < 0:
            said = last_lines(bytes(log).partition(b"\0")[0].decode(errors="replace"))
            what = "load the kernel path's programs"  # EACCES is the verifier's, too
            raise RefusedError(f"cannot {what}: {os.strerror(-number)}: {said}") if said else refused(what, number)
        self._note()

    cdef _note(self):
        self.maps, self.programs = {}, {}
        cdef bpf_map *a_map = bpf_object__next_map(self._object, NULL)
        while a_map != NULL:
            name = bpf_map__name(a_map).decode()
            sizes = bpf_map__key_size(a_map), bpf_map__value_size(a_map)
            self.maps[name] = Map(name, bpf_map__fd(a_map), *sizes, bpf_map__type(a_map) in PER_CPU)
            a_map = bpf_object__next_map(self._object, a_map)
        cdef bpf_program *program = bpf_object__next_program(self._object, NULL)
        while program != NULL:
            name = bpf_program__name(program).decode()
            fd = bpf_program__fd(program)
            number, tag = program_info(fd)[1:3]
            self.programs[name] = Program(name, fd, number, tag)
            program = bpf_object__next_program(self._object, program)

    cdef bint _take_over(self, filters):
        """Use the maps of these programs if they all have the same ones, and those are made as ours."""
        with contextlib.ExitStack() as stack:
            found = {}
            for number in filters:
                for name, (number_of_map, fd) in maps_of(number, stack).items():
                    if found.setdefault(name, (number_of_map, fd))[0] != number_of_map:
                        return False
            return bool(found) and self._reuse(found)

    cdef bint _reuse(self, dict found):
        cdef bpf_map *a_map = bpf_object__next_map(self._object, NULL)
        while a_map != NULL:
            known = found.get(bpf_map__name(a_map).decode())
            if known is not None and not is_made_as(a_map, known[1]):
                return False
            a_map = bpf_object__next_map(self._object, a_map)
        a_map = bpf_object__next_map(self._object, NULL)
        while a_map != NULL:
            known = found.get(bpf_map__name(a_map).decode())
            if known is not None and bpf_map__reuse_fd(a_map, known[1]) < 0:
                raise RefusedError("cannot take over the maps of the kernel path")
            a_map = bpf_object__next_map(self._object, a_map)
        return True

    def close(self):
        """Give up the programs and maps. Those that a filter uses stay in the kernel."""
        if self._object != NULL:
            bpf_object__close(self._object)
            self._object = NULL
        self.programs, self.maps = {}, {}

    def __dealloc__(self):
        if self._object != NULL:
            bpf_object__close(self._object)


cdef program_info(int fd, uint32_t[::1] maps=None):
    """Return (name, number, tag, how many maps)."""
    cdef bpf_prog_info info
    cdef uint32_t size = sizeof(info)
    memset(&info, 0, size)
    if maps is not None:
        info.nr_map_ids, info.map_ids = MAPS_OF_A_PROGRAM, <size_t>&maps[0]
    cdef int number = bpf_obj_get_info_by_fd(fd, &info, &size)
    if number < 0:
        raise refused("look at a program", number)
    return info.name.decode(errors="replace"), info.id, bytes(info.tag[:8]), info.nr_map_ids


def maps_of(number, stack):
    """Return {name: (number, file descriptor)} of a program's maps, closed by the stack; {} without such a program."""
    cdef int fd = bpf_prog_get_fd_by_id(number)
    if fd == -errno.ENOENT:
        return {}
    if fd < 0:
        raise refused(f"take over the program {number} (this takes CAP_SYS_ADMIN)", fd)
    stack.callback(os.close, fd)
    numbers = memoryview(bytearray(4 * MAPS_OF_A_PROGRAM)).cast("I")
    count = min(program_info(fd, numbers)[3], MAPS_OF_A_PROGRAM)
    found = {}
    for number_of_map in numbers[:count]:
        fd = bpf_map_get_fd_by_id(number_of_map)
        if fd >= 0:
            stack.callback(os.close, fd)
            found[map_info(fd).name.decode(errors="replace")] = (number_of_map, fd)
    return found


cdef bpf_map_info map_info(int fd) except *:
    cdef bpf_map_info info
    cdef uint32_t size = sizeof(info)
    memset(&info, 0, size)
    cdef int number = bpf_obj_get_info_by_fd(fd, &info, &size)
    if number < 0:
        raise refused("look at a map", number)
    return info


cdef bint is_made_as(bpf_map *a_map, int fd) except *:
    cdef bpf_map_info info = map_info(fd)
    return (
        info.type == bpf_map__type(a_map)
        and info.key_size == bpf_map__key_size(a_map)
        and info.value_size == bpf_map__value_size(a_map)
        and info.max_entries == bpf_map__max_entries(a_map)
        and info.map_flags == bpf_map__map_flags(a_map)
    )
