# SPDX-License-Identifier: Apache-2.0
# Where a frame comes from or goes to, and how large frames and bursts are.
from libc.stdint cimport uint32_t


cdef extern from "packet/frame.h" nogil:
    enum:
        FP_BURST
        FP_HEADROOM
        FP_FRAME_SIZE
        FP_DEST_NONE
        FP_DEST_PORT
        FP_DEST_REMOTE
        FP_DEST_FLOOD
        FP_DEST_GROUP
        FP_DEST_DROP
        FP_DEST_DEFERRED
    ctypedef uint32_t fp_dest
    fp_dest fp_dest_make(int kind, uint32_t index)
    uint32_t fp_dest_kind(fp_dest dest)
    uint32_t fp_dest_index(fp_dest dest)
