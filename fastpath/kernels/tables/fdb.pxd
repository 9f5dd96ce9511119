# SPDX-License-Identifier: Apache-2.0
# The forwarding database.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.kernels.packet.dest cimport fp_dest
from fastpath.kernels.system cimport c_bool


cdef extern from "tables/fdb.h" nogil:
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
        uint32_t learned
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
    void fp_fdb_reserve(fp_fdb *fdb, uint32_t entries)
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
    uint32_t fp_fdb_learned(const fp_fdb *fdb)
    uint32_t fp_fdb_learned_from(const fp_fdb *fdb, fp_dest dest)
    fp_fdb_share *fp_fdb_share_of "fp_fdb_share"(fp_fdb *fdb, uint32_t segment)
