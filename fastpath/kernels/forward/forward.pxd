# SPDX-License-Identifier: Apache-2.0
# Forwarders, and the way from a decision to its port or remote.
from libc.stdint cimport uint32_t, uint64_t

from fastpath.kernels.packet.dest cimport fp_dest
from fastpath.kernels.packet.rewrite cimport fp_record
from fastpath.kernels.system cimport c_bool
from fastpath.kernels.tables.tables cimport fp_context, fp_forwarder, fp_frame, fp_segment


cdef extern from "forward/forward.h" nogil:
    enum:
        FP_CHAIN
    struct fp_chain:
        uint32_t count
        const fp_forwarder *item[16]  # FP_CHAIN
    void fp_forward(const fp_forwarder *forwarder, const fp_context *context, fp_frame *frames, uint32_t count)
    void fp_forward_undecided(const fp_forwarder *forwarder, const fp_context *context, fp_frame *frames, uint32_t count)
    void fp_chain_forward(const fp_forwarder *self, const fp_context *context, fp_frame *frames, uint32_t count)


cdef extern from "path/deliver.h" nogil:
    void fp_deliver(const fp_context *context, fp_frame *frame)


cdef extern from "forward/bridge.h" nogil:
    void fp_bridge_forward(const fp_forwarder *self, const fp_context *context,
                           fp_frame *frames, uint32_t count)
    void fp_bridge_learn(const fp_context *context, fp_frame *frames, uint32_t count)
    void fp_bridge_lookup(const fp_context *context, const fp_frame *frames, uint32_t count, fp_dest *found)
    void fp_bridge_learn_and_lookup(const fp_context *context, fp_frame *frames, uint32_t count, fp_dest *found)


cdef extern from "forward/vxlan.h" nogil:
    void fp_vxlan_forward(const fp_forwarder *self, const fp_context *context, fp_frame *frames, uint32_t count)


cdef extern from "forward/compiled.h" nogil:
    ctypedef int (*fp_compiled_function)(fp_record *records, uint32_t count, uint64_t *counts, uint32_t now,
                                         uint32_t worker, void *const *arrays) noexcept nogil
    struct fp_compiled:
        fp_compiled_function function
        void **arrays
        uint32_t first
        uint32_t counters
    void fp_compiled_forward(const fp_forwarder *self, const fp_context *context, fp_frame *frames, uint32_t count)


cdef extern from "forward/defer.h" nogil:
    enum:
        FP_DEFERRED_BURST
        FP_DEFERRED_SPARE
    struct fp_deferral
    fp_deferral *fp_deferral_new(uint32_t workers, int wake)
    void fp_deferral_free(fp_deferral *deferral)
    void fp_defer_forward(const fp_forwarder *self, const fp_context *context, fp_frame *frames, uint32_t count)
    uint32_t fp_deferral_take(fp_deferral *deferral, fp_frame *frames, uint64_t *standing, uint32_t room)
    void fp_deferral_expire(const fp_context *context, const fp_segment *segment, fp_frame *frames,
                            const uint64_t *standing, uint32_t count)
    void fp_deferral_release(fp_deferral *deferral)
    c_bool fp_deferral_doze(fp_deferral *deferral)
    void fp_deferral_awake(fp_deferral *deferral)
