# SPDX-License-Identifier: Apache-2.0
# When a worker looks for work, and when it sleeps.
from libc.stdint cimport uint32_t, uint64_t

from fastpath.kernels.system cimport c_bool


cdef extern from "path/pace.h" nogil:
    struct fp_pace:
        pass
    uint64_t fp_pace_clock()
    void fp_pace_init(fp_pace *pace, uint64_t spin_ns)
    c_bool fp_pace_look(const fp_pace *pace, uint64_t since, uint64_t now)
    uint64_t fp_pace_gather(fp_pace *pace, uint64_t since, uint64_t now, uint32_t frames)
    void fp_pace_yielded(fp_pace *pace, uint64_t since, uint64_t now)
    void fp_pace_slept(fp_pace *pace, uint64_t since, uint64_t now)
