# SPDX-License-Identifier: Apache-2.0
"""The thread of a deferred forwarder: one that is written in Python, and so cannot run in the workers.

The workers put the frames of such a segment into rings and continue (src/forward/defer.c). The thread takes bursts of
them, asks the forwarder, and delivers the frames as a worker would. A forwarder that is slow or raises an exception
affects only its own segment.
"""

import logging
import threading

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from posix.unistd cimport close

from fastpath.forwarder.burst cimport Burst
from fastpath.forwarder.forwarder cimport Forwarder
from fastpath.kernels.packet.dest cimport (
    FP_DEST_DEFERRED,
    FP_DEST_DROP,
    FP_DEST_NONE,
    FP_HEADROOM,
    fp_dest_index,
    fp_dest_kind,
    fp_dest_make,
)
from fastpath.kernels.forward.forward cimport (
    FP_DEFERRED_BURST,
    FP_DEFERRED_SPARE,
    fp_chain_forward,
    fp_defer_forward,
    fp_deferral_awake,
    fp_deferral_doze,
    fp_deferral_expire,
    fp_deferral_free,
    fp_deferral_new,
    fp_deferral_release,
    fp_deferral_take,
    fp_deliver,
    fp_forward_undecided,
)
from fastpath.kernels.packet.rewrite cimport fp_record_fill, fp_rewrite_settle, fp_room
from fastpath.kernels.system cimport (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    POLLIN,
    eventfd,
    eventfd_read,
    eventfd_write,
    poll,
    pollfd,
    pthread_mutex_lock,
    pthread_mutex_unlock,
)
from fastpath.kernels.tables.tables cimport (
    FP_DROP_OWN,
    FP_OWN,
    fp_drop,
    fp_forwarder,
    fp_frame,
    fp_now,
    fp_segment,
    fp_turn_begin,
    fp_turn_end,
    fp_uplink_flush,
)
from fastpath.kernels.counters.tally cimport (
    FP_DROP_bad_super_frame,
    FP_DROP_bad_target,
    FP_DROP_forwarder_failed,
    FP_DROP_undecided,
    FP_EVENT_wait_failed,
    fp_count,
)
from fastpath.engine.tables cimport Tables
from fastpath.engine.workers.uplink cimport Uplink

from fastpath.errors import RefusedError
from fastpath.forwarder.forwarder import elements_of

log = logging.getLogger("fastpath")

cdef enum:
    HEADERS = 24  # bytes in front of a frame that delivery may want to write to, at most

LONGEST_S = 3600.0  # that a thread sleeps
PATIENCE_S = 1.0  # how long a forwarder that ends is waited for


cdef class Rings:
    """The rings, and the eventfd by which the thread is woken. Views of frames keep them alive."""

    def __cinit__(self, int workers):
        self.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.wake < 0:
            raise RefusedError("no file descriptor is left for a forwarder: raise the limit (ulimit -n)")
        self.c = fp_deferral_new(workers, self.wake)
        if self.c == NULL:
            raise RefusedError("not enough memory for a forwarder in Python")

    def __dealloc__(self):
        fp_deferral_free(self.c)
        if self.wake >= 0:
            close(self.wake)  # not Python's: this may be the interpreter's end


def text_of(error):
    """Return the text of an exception, also if its own __str__ fails."""
    try:
        return str(error)
    except BaseException:
        return "it cannot be shown"


def tell(what, error):
    """Log an exception, with the place where it was raised."""
    try:
        log.error(what, exc_info=error)
    except BaseException:
        log.error(what)


cdef bint deliver_now(void *thread, uint32_t place, uint32_t target, bint changed) noexcept:
    """Deliver a frame for Burst.send. `changed`: the frame's bytes may have changed."""
    cdef ForwarderThread self = <ForwarderThread>thread
    cdef fp_frame *frame = &self.frames[place]
    if changed and not fp_rewrite_settle(frame):
        return False  # it will be discarded
    with nogil:
        self.deliver_one(place, target)
    frame.target = fp_dest_make(FP_DEST_DEFERRED, 0)
    return True


cdef class ForwarderThread:
    """Runs a forwarder, or a chain, that is written in Python, for a segment.

    There is no thread before `start`; until then `poll` does the thread's work.
    """

    def __cinit__(self, Tables tables not None, Forwarder forwarder not None):
        self.tables = tables
        self.forwarder = forwarder
        self.elements = elements_of(forwarder)
        self.rings = Rings(tables.workers)
        self.frames = <fp_frame *>calloc(FP_DEFERRED_BURST, sizeof(fp_frame))
        self.standing = <uint64_t *>calloc(FP_DEFERRED_BURST, sizeof(uint64_t))
        self.place = <uint32_t *>calloc(FP_DEFERRED_BURST, sizeof(uint32_t))
        self.room = <fp_room *>calloc(FP_DEFERRED_BURST, sizeof(fp_room))
        if self.frames == NULL or self.standing == NULL or self.place == NULL or self.room == NULL:
            raise MemoryError
        self.burst = Burst(self.rings)
        self.burst.deliver, self.burst.deliverer = deliver_now, <void *>self
        self.c.forward = fp_defer_forward
        self.c.state = self.rings.c
        self._put_in_front()
        self.context.tables = tables.c
        self.context.uplink = &(<Uplink>tables.uplink).c
        self.context.worker = tables.workers
        self.gate = threading.Lock()
        now = tables.clock()
        self.due = {e: now + e.tick_interval for e in self.elements if e.tick_interval is not None}

    def _put_in_front(self):
        """Let the workers call the elements in front of the first one in Python themselves: only what these leave
        undecided comes to the thread."""
        cdef Forwarder element
        self.first = 0
        while self.forwarder.deferred and not self.elements[self.first].deferred:
            element = self.elements[self.first]
            self.front.item[self.first] = element.usable()
            self.first += 1
        self.front.item[self.first] = &self.c
        self.front.count = self.first + 1
        self.fronted.forward = fp_chain_forward
        self.fronted.state = &self.front

    def __dealloc__(self):
        free(self.frames)
        free(self.standing)
        free(self.place)
        free(self.room)

    cdef const fp_forwarder *usable(self):
        """Return what the workers call: the forwarder itself if it is not in Python, and only ticks."""
        if not self.forwarder.deferred:
            return self.forwarder.usable()
        return &self.fronted if self.first else &self.c

    cdef void lock(self) noexcept nogil:
        """Begin a turn: until `unlock` this thread may hold what the tables point to, and may count."""
        pthread_mutex_lock(&self.tables.c.threads_lock)
        fp_turn_begin(self.tables.c, self.context.worker)
        self.context.now = fp_now(self.tables.c)

    cdef void unlock(self) noexcept nogil:
        fp_turn_end(self.tables.c, self.context.worker)
        pthread_mutex_unlock(&self.tables.c.threads_lock)

    cdef void close(self) noexcept nogil:
        """Let go of the segment, which is being removed: nothing of it is touched after this call returns."""
        pthread_mutex_lock(&self.tables.c.threads_lock)
        self.segment = NULL
        pthread_mutex_unlock(&self.tables.c.threads_lock)

    cdef uint32_t take(self) noexcept nogil:
        """Take the next burst, with no decisions yet. Return the number of its frames."""
        cdef uint32_t i, count = fp_deferral_take(self.rings.c, self.frames, self.standing, FP_DEFERRED_BURST)
        for i in range(count):
            self.frames[i].target = fp_dest_make(FP_DEST_NONE, 0)
            self.room[i].first = self.frames[i].data - FP_HEADROOM + HEADERS
            self.room[i].end = self.frames[i].data + self.frames[i].length + FP_DEFERRED_SPARE
        self.lock()
        fp_deferral_expire(&self.context, self.segment, self.frames, self.standing, count)
        self.unlock()
        return count

    cdef void ask_c(self, const fp_forwarder *element, uint32_t count) noexcept nogil:
        self.lock()
        if self.segment != NULL:
            fp_deferral_expire(&self.context, self.segment, self.frames, self.standing, count)
            fp_forward_undecided(element, &self.context, self.frames, count)
        self.unlock()

    cdef void ask(self, Forwarder element, uint32_t count):
        """Ask a forwarder in Python about the frames that are undecided."""
        cdef uint32_t i, decided, own, found = 0
        cdef fp_frame *frame
        for i in range(count):
            if fp_dest_kind(self.frames[i].target) == FP_DEST_NONE:
                fp_record_fill(&self.burst.record[found], &self.frames[i], self.vni)
                self.place[found] = i
                found += 1
        if found == 0:
            return
        copies = len(self.burst.copies)
        try:
            writable = bool(element.rewrites)
            self.burst.begin(self.frames, self.room, self.place, found, writable, self.tables.clock())
            (<object>element).forward(self.burst)  # Python's method, not C's
        except BaseException as error:  # even SystemExit: the thread belongs to the engine
            del self.burst.copies[copies:]  # those that others before it asked for are sent
            self._failed(element, error)
            for i in range(found):
                self.frames[self.place[i]].target = fp_dest_make(FP_DEST_DROP, FP_DROP_forwarder_failed)
        else:
            for i in range(found):
                frame = &self.frames[self.place[i]]
                decided = self.burst.record[i].out
                if fp_dest_kind(decided) == FP_DEST_DEFERRED and fp_dest_kind(frame.target) != FP_DEST_DEFERRED:
                    decided = fp_dest_make(FP_DEST_DROP, FP_DROP_bad_target)  # SENT, but it was not
                frame.target = decided
                own = fp_dest_index(frame.target) - FP_DROP_OWN
                if fp_dest_kind(frame.target) == FP_DEST_DROP and own < FP_OWN and element.own != NULL:
                    element.add(&self.context, own, frame.segments)
                if self.burst.writable and not fp_rewrite_settle(frame):
                    frame.target = fp_dest_make(FP_DEST_DROP, FP_DROP_bad_super_frame)
                    # Nor can copies of it be sent: it can be split no more.
                    self.burst.copies = [copy for copy in self.burst.copies if copy[0] != self.place[i]]
        self.burst.end()

    def _failed(self, element, error):
        """Log an exception, but only once: it may be raised for every burst."""
        self.failures += 1
        self.last_error = f"{type(element).__name__}: {type(error).__name__}: {text_of(error)}"
        if self.failures == 1:
            tell(f"forwarder {type(element).__name__} of VNI {self.vni} failed; later failures are only counted", error)

    cdef void deliver_copies(self):
        cdef uint32_t place, target
        for place, target in self.burst.copies:
            with nogil:
                self.deliver_one(place, target)
        self.burst.copies.clear()

    cdef void deliver_one(self, uint32_t place, uint32_t target) noexcept nogil:
        """Deliver a frame to a target, and keep the decision about it."""
        cdef fp_frame *frame = &self.frames[place]
        cdef uint32_t decided = frame.target
        frame.target = target
        self.lock()
        if self.segment != NULL:
            fp_deferral_expire(&self.context, self.segment, frame, &self.standing[place], 1)
            fp_deliver(&self.context, frame)
            fp_uplink_flush(&self.context, self.context.uplink)
        self.unlock()
        frame.target = decided

    cdef void deliver(self, uint32_t count) noexcept nogil:
        cdef uint32_t i
        self.lock()
        fp_deferral_expire(&self.context, self.segment, self.frames, self.standing, count)
        if self.segment != NULL:
            for i in range(count):
                fp_deliver(&self.context, &self.frames[i])
            fp_uplink_flush(&self.context, self.context.uplink)
        else:
            for i in range(count):
                self.frames[i].segment = NULL
                fp_drop(&self.context, &self.frames[i], FP_DROP_undecided)
        self.unlock()

    def poll(self):
        """Serve one burst, and the ticks that are due. Return whether there were frames."""
        cdef uint32_t count
        cdef Forwarder element
        cdef const fp_forwarder *c
        if self.polling:  # from within the forwarder
            return False
        self.polling = True
        with nogil:
            count = self.take()
        if count:
            for element in self.elements[self.first:]:
                if element.deferred:
                    self.ask(element, count)
                else:
                    c = element.usable()
                    with nogil:
                        self.ask_c(c, count)
            self.deliver_copies()
            with nogil:
                self.deliver(count)
                fp_deferral_release(self.rings.c)
        self._tick()
        self.polling = False
        if self.ending and not self.running:
            self._end()
        return count != 0

    def _tick(self):
        if not self.due:
            return
        now = self.tables.clock()
        for element, due in list(self.due.items()):
            if now >= due:
                self._call(element, "tick")
                try:
                    self.due[element] = now + element.tick_interval
                except BaseException:  # None, or what is no number: it wants no more
                    del self.due[element]

    def _call(self, element, what):
        try:
            getattr(element, what)()
        except BaseException as error:
            tell(f"{what} of forwarder {type(element).__name__} of VNI {self.vni} failed", error)

    cdef void wait(self, int timeout_ms) noexcept nogil:
        """Sleep until frames come, at most for `timeout_ms` (-1: no limit)."""
        cdef pollfd ready
        cdef uint64_t ignored
        cdef bint failed = False
        ready.fd = self.rings.wake
        ready.events = POLLIN
        if fp_deferral_doze(self.rings.c):
            failed = poll(&ready, 1, timeout_ms) < 0 and errno != EINTR
            fp_deferral_awake(self.rings.c)
        if eventfd_read(self.rings.wake, &ignored) != 0 and errno != EAGAIN:
            failed = True
        if failed:
            self.lock()
            fp_count(&self.context.tables.tally[self.context.worker].events[FP_EVENT_wait_failed], 1)
            self.unlock()

    def _run(self, previous):
        cdef int timeout_ms
        if previous is not None:
            previous.join()
        while not self.stopping:
            if not self.poll():
                timeout_ms = -1
                if self.due:
                    wait_s = min(self.due.values()) - self.tables.clock()
                    timeout_ms = 1 + int(1000 * max(0.0, min(wait_s, LONGEST_S)))
                with nogil:
                    self.wait(timeout_ms)
        with self.gate:
            self.running = False
            ending = self.ending
        if ending:
            self._end()

    def _end(self):
        with self.gate:
            if self.ended:
                return
            self.ended = True
        while self.poll():
            pass
        for element in self.elements:
            self._call(element, "stop")
        dismiss, self.dismiss = self.dismiss, None  # it holds the segment, which holds this
        if dismiss is not None:
            dismiss(self.forwarder)

    def start(self):
        """Start the thread."""
        previous, self.stopping, self.running = self.thread, False, True
        self.thread = threading.Thread(target=self._run, args=(previous,), name=f"fastpath-{self.vni}", daemon=True)
        self.thread.start()

    def halt(self):
        """Stop the thread. Frames stay in the rings. The thread ends when its forwarder has returned."""
        self.stopping = True
        eventfd_write(self.rings.wake, 1)

    def end(self):
        """Stop for good: decide on the frames in the rings, then call the forwarder's `stop`.

        The thread does this if it runs, otherwise this call does. The caller holds no lock.
        """
        with self.gate:
            self.ending = True
            running = self.running
        if running:
            self.halt()
        elif not self.polling:  # else it is the forwarder itself that calls; `poll` goes on from there
            self._end()

    def join(self):
        """Wait until the thread has ended, but no longer than PATIENCE_S. Return whether it has."""
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join(PATIENCE_S)
            return not self.thread.is_alive()
        return True
