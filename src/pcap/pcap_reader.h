// SPDX-License-Identifier: Apache-2.0
// The memory of a reader of capture files, of either format: bytes come in, records and interfaces are described.
#ifndef FP_PCAP_READER_H
#define FP_PCAP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FP_PCAP_LONGEST = 1 << 18, // bytes of a packet; libpcap's MAXIMUM_SNAPLEN
    FP_PCAP_LONGEST_BLOCK = FP_PCAP_LONGEST + (1 << 17), // the same with comments and such
    FP_PCAP_MEMORY = 1 << 20, // bytes of a reader's memory, at least
    FP_PCAP_INTERFACES = 1 << 16, // of one section; packets of further ones are odd
    FP_PCAP_FRONT = 16, // bytes in front of a record, at least, that are free
    FP_PCAP_NAME = 64, // bytes of an interface's name that are kept
    FP_PCAP_ETHERNET = 1, // LINKTYPE_ETHERNET
};

enum fp_pcap_status {
    FP_PCAP_RECORD, // the next packet
    FP_PCAP_DESCRIPTION, // an interface was described: the last one in pcap->interface
    FP_PCAP_MORE, // more bytes are needed
    FP_PCAP_END,
    FP_PCAP_DAMAGED, // pcap->problem says why; nothing more can be read
};

enum fp_pcap_format { FP_PCAP_UNKNOWN = 0, FP_PCAP_CLASSIC, FP_PCAP_NG };

// Where packets were seen. A pcap file has just one, without a name.
struct fp_pcap_interface {
    uint16_t linktype;
    uint8_t fcs; // bytes of the frame check sequence behind each frame
    uint8_t binary_digits; // time stamps are in units of 2^-binary_digits s; 0: decimal ones
    uint64_t multiply, divide; // decimal ones, into nanoseconds
    uint64_t shift_ns; // to be added, modulo 2^64
    uint32_t snaplen; // 0: no limit
    uint32_t name_length;
    char name[FP_PCAP_NAME]; // without a final 0
};

struct fp_pcap_record {
    // In the reader's memory until more is added. FP_PCAP_FRONT bytes in front of it may be overwritten, too.
    uint8_t *data;
    uint32_t length; // bytes that were captured, without the frame check sequence
    uint32_t original; // bytes that the packet had
    uint32_t interface; // index of pcap->interface
    bool outbound; // known to have left by that interface
    uint64_t time_ns; // since the epoch, as the file says
};

struct fp_pcap {
    uint8_t *memory; // the caller's
    uint32_t size; // of it
    uint32_t at, end; // what was not looked at yet
    uint64_t offset; // of memory[at] in the file
    uint64_t skip; // bytes to skip from there
    enum fp_pcap_format format;
    bool swapped; // the other byte order
    bool ended; // no more bytes come
    bool cut; // the file ended within a record
    uint64_t
        odd; // blocks that were passed over: too short for what they are, or of an unknown interface
    const char *problem;
    uint64_t last_ns; // of the last record, for those that have no time stamp
    uint32_t interfaces;
    struct fp_pcap_interface interface[FP_PCAP_INTERFACES];
};

// Begin with `size` (at least FP_PCAP_MEMORY) bytes of memory. The interfaces are left as they are: they are many.
void fp_pcap_init(struct fp_pcap *pcap, uint8_t *memory, uint32_t size);

// Return where to put more bytes; *size is how many fit (never 0 after FP_PCAP_MORE). The rest of the bytes moves, so
// records taken before are invalid.
uint8_t *fp_pcap_room(struct fp_pcap *pcap, uint32_t *size);

// Tell that `size` bytes were put there; 0: the file has ended.
void fp_pcap_added(struct fp_pcap *pcap, uint32_t size);

// For those that know a format: pcap.c, pcapng.c.

static inline uint16_t fp_pcap_load16(const struct fp_pcap *pcap, const uint8_t *at) {
    uint16_t value;
    __builtin_memcpy(&value, at, sizeof value);
    return pcap->swapped ? __builtin_bswap16(value) : value;
}

static inline uint32_t fp_pcap_load32(const struct fp_pcap *pcap, const uint8_t *at) {
    uint32_t value;
    __builtin_memcpy(&value, at, sizeof value);
    return pcap->swapped ? __builtin_bswap32(value) : value;
}

static inline uint32_t fp_pcap_available(const struct fp_pcap *pcap) {
    return pcap->end - pcap->at;
}

static inline void fp_pcap_advance(struct fp_pcap *pcap, uint32_t size) {
    pcap->at += size;
    pcap->offset += size;
}

enum fp_pcap_status fp_pcap_starve(struct fp_pcap *pcap);
enum fp_pcap_status fp_pcap_damaged(struct fp_pcap *pcap, const char *problem);
// Remove the frame check sequence from the record, if the capture has it.
void fp_pcap_strip(const struct fp_pcap *pcap, struct fp_pcap_record *record);

#endif
