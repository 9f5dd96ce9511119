# SPDX-License-Identifier: Apache-2.0
# Frames, and what the workers of one engine share: they point to each other, so Cython wants them in one file.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.kernels.packet.dest cimport fp_dest
from fastpath.kernels.security.allowed cimport fp_allowed, fp_refused, fp_storm
from fastpath.kernels.tables.complete cimport fp_complete
from fastpath.kernels.tables.directory cimport fp_directory
from fastpath.kernels.tables.fdb cimport fp_fdb
from fastpath.kernels.tables.remote cimport fp_remote, fp_remotes
from fastpath.kernels.system cimport c_bool, pthread_mutex_t
from fastpath.kernels.counters.tally cimport fp_counter, fp_tally, fp_traffic
from fastpath.kernels.io.udp cimport fp_udp_out
from fastpath.kernels.packet.wire cimport fp_flow


cdef extern from "packet/frame.h" nogil:
    struct fp_segment
    struct fp_frame:
        uint8_t *data
        uint32_t length
        uint32_t segments
        uint32_t bytes
        fp_dest source
        fp_dest target
        uint32_t vni
        fp_segment *segment
        uint16_t checksum_start
        uint16_t checksum_offset
        uint16_t gso_size
        uint16_t headers
        uint8_t gso_type
        c_bool needs_checksum
        uint8_t outer_tos
        uint64_t time_ns
        fp_flow flow
    uint8_t *fp_frame_at(const fp_frame *frame, uint32_t offset, uint32_t size)


cdef extern from "packet/offload.h" nogil:
    c_bool fp_offload_complete(fp_frame *frame)


cdef extern from "packet/encap.h" nogil:
    struct fp_packet:
        const uint8_t *data
        uint32_t length
        uint8_t tos
    uint32_t fp_encap(fp_frame *frame, uint32_t vni, fp_packet *packet, uint32_t *completed)


cdef extern from "security/budget.h" nogil:
    enum:
        FP_BUDGET_TURN
    struct fp_budget:
        pass
    c_bool fp_budget_begin(fp_budget *budget)
    uint32_t fp_budget_frames(const fp_budget *budget)
    void fp_budget_end(fp_budget *budget, uint32_t frames, uint64_t packets)


cdef extern from "tables/tables.h" nogil:
    enum:
        FP_PORTS
        FP_GROUPS
        FP_WORKERS
        FP_COUNTERS
        FP_OWN
        FP_DROP_OWN
    struct fp_list:
        uint32_t count
        uint32_t item[1]  # count
    struct fp_context
    struct fp_uplink
    ctypedef void (*fp_forward_function)(const fp_forwarder *self, const fp_context *context,
                                         fp_frame *frames, uint32_t count) noexcept nogil
    struct fp_forwarder:
        fp_forward_function forward
        void *state
        fp_counter (*own)[FP_OWN]
        c_bool reasons
    struct fp_segment:
        uint32_t index
        uint32_t vni
        c_bool probes
        c_bool members_only
        const fp_forwarder *forwarder
        c_bool learning
        c_bool hosts_only
        uint32_t neighbours
        const fp_complete *complete
        const fp_list *remotes
        const fp_list *ports
        fp_refused refused
        fp_tally tally[1]  # one for each that counts
    struct fp_port:
        uint32_t index
        uint64_t serial
        uint32_t mtu
        fp_segment *segment
        c_bool gone
        const fp_allowed *allowed
        fp_storm storm
        fp_budget *budget
        fp_traffic *traffic
        int fd[FP_COUNTERS]
    struct fp_sink
    struct fp_tables:
        const fp_sink *sink
        fp_fdb *fdb
        fp_remotes *remotes
        fp_directory *neighbours
        fp_directory *admitted
        uint32_t counters
        pthread_mutex_t threads_lock
        fp_tally tally[FP_COUNTERS]
    struct fp_context:
        fp_tables *tables
        fp_uplink *uplink
        uint32_t worker
        uint32_t now
    fp_tables *fp_tables_new(uint32_t fdb_entries, uint32_t neighbours, uint64_t seed, int family, uint32_t workers)
    void fp_tables_free(fp_tables *tables)
    fp_segment *fp_segment_find(const fp_tables *tables, uint32_t vni)
    fp_segment *fp_segment_new(uint32_t index, uint32_t vni, uint32_t counters)
    fp_port *fp_port_new(uint32_t index, fp_segment *segment, uint32_t mtu, uint32_t counters)
    void fp_port_free(fp_port *port)
    c_bool fp_segment_publish(fp_tables *tables, uint32_t vni, fp_segment *segment)
    void fp_segment_set_forwarder(fp_segment *segment, const fp_forwarder *forwarder)
    void fp_segment_set_learning(fp_segment *segment, c_bool learning)
    void fp_segment_set_hosts_only(fp_segment *segment, c_bool hosts_only)
    const fp_list *fp_segment_set_remotes(fp_segment *segment, const fp_list *remotes)
    const fp_list *fp_segment_set_ports(fp_segment *segment, const fp_list *ports)
    const fp_complete *fp_segment_set_complete(fp_segment *segment, const fp_complete *complete)
    void fp_vouch(fp_tables *tables, uint32_t seconds)
    const fp_allowed *fp_port_set_allowed(fp_port *port, const fp_allowed *allowed)
    void fp_port_publish(fp_tables *tables, uint32_t index, fp_port *port)
    const fp_list *fp_group_publish(fp_tables *tables, uint32_t index, const fp_list *list)
    fp_port *fp_port_get(const fp_tables *tables, uint32_t index)
    const fp_list *fp_group_get(const fp_tables *tables, uint32_t index)
    uint32_t fp_admitted_find(const fp_tables *tables, const uint8_t *ip)
    void fp_admissions_changed(fp_tables *tables)
    uint32_t fp_now(const fp_tables *tables)
    void fp_clock_advance(fp_tables *tables, uint32_t seconds)
    void fp_clock_set(fp_tables *tables, uint32_t seconds)
    void fp_turn_begin(fp_tables *tables, uint32_t worker)
    void fp_turn_end(fp_tables *tables, uint32_t worker)
    uint64_t fp_turn_count(const fp_tables *tables, uint32_t worker)
    void fp_synchronize(fp_tables *tables)


cdef extern from "path/enter.h" nogil:
    uint32_t fp_enter_check(const fp_context *context, fp_frame *frame, const fp_port *port)


cdef extern from "io/sink.h" nogil:
    struct fp_sink:
        void (*frame)(const fp_sink *self, const fp_frame *frame, const fp_port *port) noexcept
        void (*packet)(const fp_sink *self, const fp_frame *frame, const fp_packet *packet,
                       const fp_remote *remote) noexcept


cdef extern from "path/uplink.h" nogil:
    enum:
        FP_UPLINK_MEMORY
    struct fp_uplink:
        fp_udp_out *outlet
        uint32_t outlets
        fp_udp_out *fragments
        uint8_t *memory
    void fp_uplink_flush(const fp_context *context, fp_uplink *uplink)


cdef extern from "monitor/count.h" nogil:
    const char *fp_drop_name(uint32_t drop)
    const char *fp_drop_sentence(uint32_t drop)
    const char *fp_event_name(uint32_t event)
    const char *fp_event_sentence(uint32_t event)
    void fp_drop(const fp_context *context, const fp_frame *frame, uint32_t reason)
    void fp_count_drop(const fp_context *context, const fp_frame *frame, uint32_t reason)
    void fp_count_event(const fp_context *context, fp_segment *segment, uint32_t event, uint32_t times)
    void fp_count_in(const fp_context *context, const fp_frame *frame)
