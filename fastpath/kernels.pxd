# SPDX-License-Identifier: Apache-2.0
# Every C declaration that the Cython modules use; nothing else. What they mean: the headers in src/.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "<stdbool.h>" nogil:
    ctypedef bint c_bool "bool"


cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


cdef extern from "<sys/socket.h>" nogil:
    int AF_INET
    int AF_INET6
    struct sockaddr_storage:
        pass


cdef extern from "<sys/epoll.h>" nogil:
    int EPOLLIN
    int EPOLLERR
    int EPOLLHUP
    int EPOLL_CTL_ADD
    int EPOLL_CTL_DEL
    int EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int room, int timeout_ms)


cdef extern from "<sys/eventfd.h>" nogil:
    int EFD_NONBLOCK
    int EFD_CLOEXEC
    int eventfd(unsigned int value, int flags)
    int eventfd_read(int fd, uint64_t *value)
    int eventfd_write(int fd, uint64_t value)


cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_lock(pthread_mutex_t *mutex)
    int pthread_mutex_unlock(pthread_mutex_t *mutex)


cdef extern from "<poll.h>" nogil:
    int POLLIN
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms)


cdef extern from "<sched.h>" nogil:
    int sched_yield()


cdef extern from "wire.h" nogil:
    enum:
        FP_MAC_SIZE
        FP_ETHERNET_SIZE
        FP_VXLAN_SIZE
    uint16_t fp_load_be16(const uint8_t *at)
    uint32_t fp_load_be32(const uint8_t *at)
    uint64_t fp_load_mac(const uint8_t *at)
    c_bool fp_mac_is_multicast(uint64_t mac)
    uint32_t FP_VXLAN_FLAG_I
    uint32_t fp_vxlan_flags(const uint8_t *header)
    uint32_t fp_vxlan_vni(const uint8_t *header)
    void fp_vxlan_write(uint8_t *header, uint32_t vni)


cdef extern from "tally.h" nogil:
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
        FP_DROP_unknown_vtep
        FP_DROP_bad_super_frame
        FP_DROP_forwarder
        FP_DROP_forwarder_failed
        FP_DROP_undecided
        FP_DROP_COUNT
        FP_EVENT_flooded
        FP_EVENT_unknown_unicast
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
    struct fp_tally:
        fp_traffic traffic
        fp_counter drops[1]  # FP_DROP_COUNT
        fp_counter events[1]  # FP_EVENT_COUNT


cdef extern from "flow.h" nogil:
    struct fp_flow:
        uint16_t network
        uint16_t transport
        uint32_t end
        uint8_t version
        uint8_t protocol
        uint8_t tos
        c_bool fragment
        uint32_t hash
    void fp_flow_parse(const uint8_t *frame, uint32_t length, fp_flow *flow)


cdef extern from "checksum.h" nogil:
    uint64_t fp_checksum_add(uint64_t sum, const uint8_t *data, uint32_t length)
    c_bool fp_checksum_has(int way)
    uint64_t fp_checksum_by(int way, uint64_t sum, uint8_t *to, const uint8_t *from_, uint32_t length)
    uint16_t fp_checksum_fold(uint64_t sum)
    uint16_t fp_checksum(const uint8_t *data, uint32_t length)
    uint64_t fp_checksum_pseudo(const uint8_t *ip, uint8_t version, uint8_t protocol, uint32_t length)
    void fp_checksum_replace(uint8_t *at, uint16_t before, uint16_t after)


cdef extern from "frame.h" nogil:
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


cdef extern from "fdb.h" nogil:
    enum:
        FP_FDB_SEGMENTS
        FP_FDB_STATIC
        FP_FDB_LOCAL
    struct fp_fdb
    struct fp_fdb_value:
        fp_dest dest
        uint32_t seen
        uint8_t flags
    struct fp_fdb_entry:
        uint64_t mac
        uint32_t segment
        fp_fdb_value value
    struct fp_fdb_share:
        uint32_t used
        uint32_t limit
        uint32_t ageing
    struct fp_fdb_match:
        uint32_t segment
        uint64_t mac
        fp_dest dest
        c_bool has_mac
        c_bool learned_only
    fp_fdb *fp_fdb_new(uint32_t entries, uint64_t seed)
    void fp_fdb_free(fp_fdb *fdb)
    uint64_t fp_fdb_key(uint32_t segment, uint64_t mac)
    void fp_fdb_lookup(const fp_fdb *fdb, const uint64_t *keys, uint32_t count, fp_fdb_value *values)
    int fp_fdb_learn(fp_fdb *fdb, uint64_t key, fp_dest dest, uint32_t now)
    c_bool fp_fdb_set(fp_fdb *fdb, uint64_t key, fp_dest dest, uint8_t flags, uint32_t now)
    uint32_t fp_fdb_retire(fp_fdb *fdb, const fp_fdb_match *match)
    uint32_t fp_fdb_age(fp_fdb *fdb, uint32_t now)
    void fp_fdb_reclaim(fp_fdb *fdb)
    c_bool fp_fdb_next(const fp_fdb *fdb, uint64_t *cursor, fp_fdb_entry *entry)
    uint32_t fp_fdb_used(const fp_fdb *fdb)
    uint32_t fp_fdb_entries(const fp_fdb *fdb)
    fp_fdb_share *fp_fdb_share_of "fp_fdb_share"(fp_fdb *fdb, uint32_t segment)


cdef extern from "remote.h" nogil:
    enum:
        FP_REMOTES
        FP_REMOTES_LIMIT
        FP_REMOTE_NONE
    struct fp_address:
        uint8_t ip[16]
        uint16_t udp_port
    struct fp_remote:
        uint32_t index
        fp_address address
        fp_traffic *traffic
    struct fp_remotes
    uint32_t fp_remotes_find(const fp_remotes *remotes, const fp_address *address)
    uint32_t fp_remotes_add(fp_remotes *remotes, const fp_address *address, uint32_t limit)
    fp_remote *fp_remotes_get(const fp_remotes *remotes, uint32_t index)
    void fp_remotes_retire(fp_remotes *remotes, uint32_t index)
    void fp_remotes_reclaim(fp_remotes *remotes, uint32_t index)
    void fp_address_from(fp_address *address, const sockaddr_storage *from_)


cdef extern from "directory.h" nogil:
    struct fp_directory
    struct fp_directory_entry:
        uint32_t segment
        uint8_t ip[16]
        uint64_t number
    uint64_t fp_directory_get(const fp_directory *directory, uint32_t segment, const uint8_t *ip)
    c_bool fp_directory_set(fp_directory *directory, uint32_t segment, const uint8_t *ip, uint64_t number, c_bool *added)
    c_bool fp_directory_delete(fp_directory *directory, uint32_t segment, const uint8_t *ip)
    void fp_directory_reclaim(fp_directory *directory)
    c_bool fp_directory_next(const fp_directory *directory, uint32_t *cursor, fp_directory_entry *entry)
    uint32_t fp_directory_used(const fp_directory *directory)


cdef extern from "tables.h" nogil:
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
        const fp_forwarder *forwarder
        c_bool learning
        uint32_t neighbours
        const fp_list *remotes
        const fp_list *ports
        fp_tally tally[1]  # one for each that counts
    struct fp_port:
        uint32_t index
        uint64_t serial
        uint32_t mtu
        fp_segment *segment
        c_bool gone
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
        pthread_mutex_t deferred
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
    const fp_list *fp_segment_set_remotes(fp_segment *segment, const fp_list *remotes)
    const fp_list *fp_segment_set_ports(fp_segment *segment, const fp_list *ports)
    void fp_port_publish(fp_tables *tables, uint32_t index, fp_port *port)
    const fp_list *fp_group_publish(fp_tables *tables, uint32_t index, const fp_list *list)
    fp_port *fp_port_get(const fp_tables *tables, uint32_t index)
    const fp_list *fp_group_get(const fp_tables *tables, uint32_t index)
    uint32_t fp_now(const fp_tables *tables)
    void fp_clock_advance(fp_tables *tables, uint32_t seconds)
    void fp_clock_set(fp_tables *tables, uint32_t seconds)
    void fp_turn_begin(fp_tables *tables, uint32_t worker)
    void fp_turn_end(fp_tables *tables, uint32_t worker)
    void fp_synchronize(fp_tables *tables)


cdef extern from "count.h" nogil:
    const char *fp_drop_name(uint32_t drop)
    const char *fp_drop_sentence(uint32_t drop)
    const char *fp_event_name(uint32_t event)
    const char *fp_event_sentence(uint32_t event)
    void fp_drop(const fp_context *context, const fp_frame *frame, uint32_t reason)
    void fp_count_drop(const fp_context *context, const fp_frame *frame, uint32_t reason)
    void fp_count_event(const fp_context *context, fp_segment *segment, uint32_t event, uint32_t times)
    void fp_note(const fp_context *context, const fp_frame *frame, uint32_t event)
    void fp_count_in(const fp_context *context, const fp_frame *frame)


cdef extern from "ring.h" nogil:
    struct fp_ring
    fp_ring *fp_ring_new(uint64_t size)
    void fp_ring_free(fp_ring *ring)
    void *fp_ring_reserve(fp_ring *ring, uint32_t size)
    void fp_ring_publish(fp_ring *ring)
    uint64_t fp_ring_first(const fp_ring *ring)
    void *fp_ring_next(const fp_ring *ring, uint64_t *position, uint32_t *size)
    void fp_ring_release(fp_ring *ring, uint64_t position)
    c_bool fp_ring_empty(const fp_ring *ring)


cdef extern from "capture.h" nogil:
    enum:
        FP_CAPTURES
        FP_CAPTURE_TERMS
        FP_CAPTURE_ROOM
        FP_IN
        FP_OUT
    uint32_t FP_CAPTURE_ALL_VNIS
    ctypedef struct fp_filter:  # a function, which nobody calls from here
        pass
    struct fp_selection:
        c_bool outer
        c_bool passing
        uint8_t directions
        uint32_t vni
        uint64_t drops
        uint32_t ports
        uint32_t remotes
        uint64_t port[FP_CAPTURE_TERMS]
        uint8_t remote[FP_CAPTURE_TERMS][16]
        uint32_t snap
        fp_address local
        fp_filter *filter
        const void *program
    struct fp_captured:
        uint32_t length
        uint32_t original
        uint32_t vni
        uint64_t time
        uint64_t port
        fp_dest where
        fp_address remote
        uint8_t direction
        uint8_t reason
    struct fp_capture
    struct fp_captures:
        uint32_t count
        fp_capture *item[FP_CAPTURES]
    fp_capture *fp_capture_new(const fp_selection *selection, uint32_t workers, uint32_t room)
    void fp_capture_free(fp_capture *capture)
    const fp_captures *fp_captures_publish(fp_tables *tables, const fp_captures *captures)
    fp_ring *fp_capture_ring(const fp_capture *capture, uint32_t worker)
    uint64_t fp_capture_missed(const fp_capture *capture)
    void fp_capture_arrival(const fp_context *context, const fp_address *from_, const uint8_t *data, uint32_t length,
                            uint32_t unit, uint8_t tos, uint32_t reason)


cdef extern from "deliver.h" nogil:
    void fp_deliver(const fp_context *context, fp_frame *frame)


cdef extern from "forward.h" nogil:
    enum:
        FP_CHAIN
    struct fp_chain:
        uint32_t count
        const fp_forwarder *item[16]  # FP_CHAIN
    void fp_forward(const fp_forwarder *forwarder, const fp_context *context, fp_frame *frames, uint32_t count)
    void fp_forward_undecided(const fp_forwarder *forwarder, const fp_context *context, fp_frame *frames, uint32_t count)
    void fp_chain_forward(const fp_forwarder *self, const fp_context *context, fp_frame *frames, uint32_t count)


cdef extern from "record.h" nogil:
    struct fp_record:
        uint64_t src_mac
        uint64_t dst_mac
        uint64_t src_ip6[2]
        uint64_t dst_ip6[2]
        uint32_t src_ip
        uint32_t dst_ip
        uint32_t port
        uint32_t out
        uint32_t vni
        uint32_t length
        uint32_t segments
        uint32_t flow_hash
        uint16_t ethertype
        uint16_t vlan
        uint16_t src_port
        uint16_t dst_port
        uint8_t ip_version
        uint8_t protocol
        uint8_t tos
        uint8_t ttl
        uint8_t fragment
    void fp_record_fill(fp_record *record, const fp_frame *frame, uint32_t vni)


cdef extern from "rewrite.h" nogil:
    enum fp_side:
        FP_SIDE_SOURCE
        FP_SIDE_DESTINATION
    struct fp_room:
        uint8_t *first
        uint8_t *end
    void fp_rewrite_mac(fp_frame *frame, fp_side side, uint64_t mac)
    c_bool fp_rewrite_ip(fp_frame *frame, fp_side side, uint8_t version, const uint8_t *address)
    c_bool fp_rewrite_port(fp_frame *frame, fp_side side, uint16_t port)
    c_bool fp_rewrite_ttl(fp_frame *frame)
    c_bool fp_rewrite_push_vlan(fp_frame *frame, uint16_t vlan, const fp_room *room)
    c_bool fp_rewrite_pop_vlan(fp_frame *frame)
    c_bool fp_rewrite_replace(fp_frame *frame, const uint8_t *data, uint32_t length, const fp_room *room)
    c_bool fp_rewrite_settle(fp_frame *frame)


cdef extern from "defer.h" nogil:
    enum:
        FP_DEFERRED_BURST
        FP_DEFERRED_SPARE
    struct fp_deferral
    fp_deferral *fp_deferral_new(uint32_t workers, int wake)
    void fp_deferral_free(fp_deferral *deferral)
    void fp_defer_forward(const fp_forwarder *self, const fp_context *context, fp_frame *frames, uint32_t count)
    uint32_t fp_deferral_take(fp_deferral *deferral, fp_frame *frames, uint32_t room)
    void fp_deferral_release(fp_deferral *deferral)
    c_bool fp_deferral_doze(fp_deferral *deferral)
    void fp_deferral_awake(fp_deferral *deferral)


cdef extern from "respond.h" nogil:
    uint64_t FP_NEIGHBOUR_ROUTER


cdef extern from "source.h" nogil:
    struct fp_source:
        c_bool known_only
        uint16_t udp_port
        fp_address from_ "from"
    void fp_source_forget(fp_source *source)
    c_bool fp_source_look(const fp_context *context, fp_source *source, const sockaddr_storage *from_)
    void fp_source_mark(const fp_context *context, fp_source *source, fp_frame *frame)


cdef extern from "offload.h" nogil:
    void fp_vnet_read(const uint8_t *header, fp_frame *frame)
    c_bool fp_vnet_write(uint8_t *header, const fp_frame *frame, uint32_t mtu)
    c_bool fp_offload_measure(fp_frame *frame)
    c_bool fp_offload_infer(fp_frame *frame)


cdef extern from "encap.h" nogil:
    struct fp_packet:
        const uint8_t *data
        uint32_t length
        uint8_t tos
    uint32_t fp_encap(fp_frame *frame, uint32_t vni, fp_packet *packet, uint32_t *completed)


cdef extern from "decap.h" nogil:
    uint32_t fp_train_unit(const fp_tables *tables, const uint8_t *data, uint32_t length, uint32_t size)
    uint32_t fp_decap(const fp_context *context, fp_frame *frame, c_bool strict)


cdef extern from "split.h" nogil:
    struct fp_split:
        pass
    void fp_split_begin(fp_split *split, const fp_frame *frame)
    uint32_t fp_split_next(fp_split *split, uint8_t *to)


cdef extern from "burst.h" nogil:
    enum:
        FP_SPARE_SIZE
    struct fp_burst:
        fp_frame frame[FP_BURST]
        uint32_t count
        uint8_t *spare
    void fp_burst_clear(fp_burst *burst)
    void fp_burst_new_train(fp_burst *burst)
    c_bool fp_burst_follow(fp_burst *burst, uint8_t *packet, uint32_t length)
    void fp_burst_take(fp_burst *burst, const uint8_t *room_end)
    uint32_t fp_burst_end(fp_burst *burst)


cdef extern from "pace.h" nogil:
    struct fp_pace:
        pass
    uint64_t fp_pace_clock()
    void fp_pace_init(fp_pace *pace, uint64_t spin_ns)
    c_bool fp_pace_look(const fp_pace *pace, uint64_t since, uint64_t now)
    uint64_t fp_pace_gather(fp_pace *pace, uint64_t since, uint64_t now, uint32_t frames)
    void fp_pace_yielded(fp_pace *pace, uint64_t since, uint64_t now)
    void fp_pace_slept(fp_pace *pace, uint64_t since, uint64_t now)


cdef extern from "bridge.h" nogil:
    void fp_bridge_forward(const fp_forwarder *self, const fp_context *context,
                           fp_frame *frames, uint32_t count)
    void fp_bridge_learn(const fp_context *context, fp_frame *frames, uint32_t count)
    void fp_bridge_lookup(const fp_context *context, const fp_frame *frames, uint32_t count, fp_dest *found)
    void fp_bridge_learn_and_lookup(const fp_context *context, fp_frame *frames, uint32_t count, fp_dest *found)


cdef extern from "compiled.h" nogil:
    ctypedef int (*fp_compiled_function)(fp_record *records, uint32_t count, uint64_t *counts, uint32_t now,
                                         uint32_t worker, void *const *arrays) noexcept nogil
    struct fp_compiled:
        fp_compiled_function function
        void **arrays
        uint32_t first
        uint32_t counters
    void fp_compiled_forward(const fp_forwarder *self, const fp_context *context, fp_frame *frames, uint32_t count)


cdef extern from "tap.h" nogil:
    enum:
        FP_TAP_ROOM
    int fp_tap_setup(int fd, c_bool tcp, c_bool udp)
    int fp_tap_name(int fd, char *name)
    int fp_tap_mac(int fd, uint64_t *mac)
    uint32_t fp_tap_read(int fd, fp_frame *frames, uint32_t room, uint8_t *memory, uint32_t size, int *error)


cdef extern from "udp.h" nogil:
    struct fp_arrival:
        uint8_t *data
        uint32_t length
        uint32_t size
        uint8_t tos
    struct fp_udp_in:
        sockaddr_storage from_ "from"[FP_BURST]
        fp_arrival arrival[FP_BURST]
    struct fp_udp_out:
        int fd
        int family
        uint16_t udp_port
        c_bool gso
    int fp_udp_receive(int fd, fp_udp_in *inlet, uint8_t *buffers, size_t stride, uint32_t room)


cdef extern from "uplink.h" nogil:
    enum:
        FP_UPLINK_MEMORY
    struct fp_uplink:
        fp_udp_out *outlet
        uint32_t outlets
        uint8_t *memory
    void fp_uplink_send(const fp_context *context, fp_uplink *uplink, fp_frame *frame, fp_remote *remote)
    void fp_uplink_flush(const fp_context *context, fp_uplink *uplink)


cdef extern from "downlink.h" nogil:
    void fp_downlink_send(const fp_context *context, const fp_frame *frame, fp_port *port)


cdef extern from "pcap.h" nogil:
    enum:
        FP_PCAP_MEMORY
        FP_PCAP_INTERFACES
        FP_PCAP_ETHERNET
        FP_PCAP_RECORD
        FP_PCAP_DESCRIPTION
        FP_PCAP_MORE
        FP_PCAP_END
        FP_PCAP_DAMAGED
        FP_PCAP_NG
    struct fp_pcap_interface:
        uint16_t linktype
        uint32_t name_length
        char *name
    struct fp_pcap_record:
        uint8_t *data
        uint32_t length
        uint32_t original
        uint32_t interface
        c_bool outbound
        uint64_t time_ns
    struct fp_pcap:
        uint64_t offset
        int format
        c_bool cut
        const char *problem
        uint32_t interfaces
        fp_pcap_interface *interface
    void fp_pcap_init(fp_pcap *pcap, uint8_t *memory, uint32_t size)
    uint8_t *fp_pcap_room(fp_pcap *pcap, uint32_t *size)
    void fp_pcap_added(fp_pcap *pcap, uint32_t size)
    int fp_pcap_next(fp_pcap *pcap, fp_pcap_record *record)


cdef extern from "sink.h" nogil:
    struct fp_sink:
        void (*frame)(const fp_sink *self, const fp_frame *frame, const fp_port *port) noexcept
        void (*packet)(const fp_sink *self, const fp_frame *frame, const fp_packet *packet,
                       const fp_remote *remote) noexcept


cdef extern from "outer.h" nogil:
    struct fp_outer:
        sockaddr_storage from_ "from"
        uint8_t *payload
        uint32_t length
        uint16_t udp_port
        uint8_t tos
    c_bool fp_outer_knows(uint16_t link)
    c_bool fp_outer_parse(uint8_t *data, uint32_t length, uint16_t link, fp_outer *outer)
    uint32_t fp_outer_headers(uint8_t *to, const fp_address *from_, const fp_address *remote, uint8_t tos, uint32_t length)


cdef extern from "pcap_out.h" nogil:
    enum:
        FP_PCAP_OUT_MEMORY
    struct fp_pcap_out:
        fp_sink sink
        int fd
        uint8_t *memory
        uint32_t *port
        uint32_t *remote
        fp_address local
        uint32_t (*describe)(fp_pcap_out *self, const fp_remote *remote) noexcept
        void *owner
    void fp_pcap_out_init(fp_pcap_out *out)
    int fp_pcap_out_flush(fp_pcap_out *out)
