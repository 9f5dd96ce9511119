# SPDX-License-Identifier: Apache-2.0
# Remotes.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.kernels.system cimport sockaddr_storage
from fastpath.kernels.counters.tally cimport fp_traffic


cdef extern from "tables/remote.h" nogil:
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
    void fp_remote_set_path_mtu(fp_remote *remote, uint32_t mtu)
    uint32_t fp_remote_path_mtu(const fp_remote *remote)
    void fp_remotes_retire(fp_remotes *remotes, uint32_t index)
    void fp_remotes_reclaim(fp_remotes *remotes, uint32_t index)
    void fp_address_from(fp_address *address, const sockaddr_storage *from_)
