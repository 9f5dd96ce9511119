# SPDX-License-Identifier: Apache-2.0
# What is used of libbpf and <linux/bpf.h>. Functions return a negative errno, pointers are NULL with errno set.
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "<linux/bpf.h>" nogil:
    enum:
        BPF_ANY
        BPF_NOEXIST
        BPF_PROG_TYPE_SCHED_CLS

    struct bpf_prog_info:
        uint32_t type
        uint32_t id
        unsigned char tag[8]
        uint32_t nr_map_ids
        uint64_t map_ids
        char name[16]

    struct bpf_map_info:
        uint32_t type
        uint32_t id
        uint32_t key_size
        uint32_t value_size
        uint32_t max_entries
        uint32_t map_flags
        char name[16]

cdef extern from "<bpf/bpf.h>" nogil:
    int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)
    int bpf_map_lookup_elem(int fd, const void *key, void *value)
    int bpf_map_delete_elem(int fd, const void *key)
    int bpf_map_get_next_key(int fd, const void *key, void *next_key)
    int bpf_prog_get_fd_by_id(uint32_t id)
    int bpf_map_get_fd_by_id(uint32_t id)
    int bpf_obj_get_info_by_fd(int fd, void *info, uint32_t *size)

cdef extern from "<bpf/libbpf.h>" nogil:
    struct bpf_object
    struct bpf_map
    struct bpf_program
    ctypedef void *libbpf_print_fn_t
    libbpf_print_fn_t libbpf_set_print(libbpf_print_fn_t function)
    int libbpf_num_possible_cpus()
    bpf_object *bpf_object__open_file(const char *path, const void *options)
    int bpf_object__load(bpf_object *obj)
    void bpf_object__close(bpf_object *obj)
    bpf_map *bpf_object__next_map(const bpf_object *obj, const bpf_map *after)
    bpf_program *bpf_object__next_program(const bpf_object *obj, bpf_program *after)
    const char *bpf_map__name(const bpf_map *map)
    int bpf_map__fd(const bpf_map *map)
    int bpf_map__reuse_fd(bpf_map *map, int fd)
    uint32_t bpf_map__type(const bpf_map *map)
    uint32_t bpf_map__key_size(const bpf_map *map)
    uint32_t bpf_map__value_size(const bpf_map *map)
    uint32_t bpf_map__max_entries(const bpf_map *map)
    uint32_t bpf_map__map_flags(const bpf_map *map)
    const char *bpf_program__name(const bpf_program *program)
    int bpf_program__fd(const bpf_program *program)
    int bpf_program__set_log_buf(bpf_program *program, char *buffer, size_t size)
