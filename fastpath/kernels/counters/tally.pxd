# SPDX-License-Identifier: Apache-2.0
# Counters.
from libc.stdint cimport uint64_t


cdef extern from "counters/tally.h" nogil:
    enum:
        FP_DROP_NONE
        FP_DROP_runt
        FP_DROP_bad_source_mac
        FP_DROP_own_source
        FP_DROP_static_source
        FP_DROP_split_horizon
        FP_DROP_same_port
        FP_DROP_no_destination
        FP_DROP_bad_target
        FP_DROP_ambiguous_train
        FP_DROP_not_member
        FP_DROP_unknown_vtep
        FP_DROP_bad_super_frame
        FP_DROP_forwarder
        FP_DROP_forwarder_failed
        FP_DROP_undecided
        FP_DROP_COUNT
        FP_EVENT_read_failed
        FP_EVENT_receive_failed
        FP_EVENT_wait_failed
        FP_EVENT_merged
        FP_EVENT_trains_received
        FP_EVENT_COUNT
    ctypedef uint64_t fp_counter
    void fp_count(fp_counter *counter, uint64_t by)
    uint64_t fp_counter_read(const fp_counter *counter)
    struct fp_traffic:
        fp_counter rx_frames
        fp_counter rx_bytes
        fp_counter tx_frames
        fp_counter tx_bytes
        fp_counter drops
        fp_counter unlearned
    struct fp_tally:
        fp_traffic traffic
        fp_counter drops[1]  # FP_DROP_COUNT
        fp_counter events[1]  # FP_EVENT_COUNT
