// SPDX-License-Identifier: Apache-2.0
#include "pcap/pcap.h"

#include <string.h>

#include "pcap/pcapng.h"

enum { FILE_HEADER = 24, RECORD_HEADER = 16 };

static const uint32_t MICROSECONDS = 0xa1b2c3d4, NANOSECONDS = 0xa1b23c4d, SECTION = 0x0a0d0d0a;
static const uint64_t SECOND_NS = 1000000000;

static enum fp_pcap_status nothing_known(struct fp_pcap *pcap, const uint8_t *at, uint32_t size) {
    if (size >= 2 && at[0] == 0x1f && at[1] == 0x8b)
        return fp_pcap_damaged(pcap, "it is compressed: unpack it with gunzip first");
    if (size == 0)
        return fp_pcap_damaged(pcap, "it is empty");
    return fp_pcap_damaged(pcap, "it is not a pcap or pcapng file");
}

// The header of a pcap file.
static enum fp_pcap_status begin(struct fp_pcap *pcap) {
    const uint8_t *header = pcap->memory + pcap->at;
    const uint32_t available = fp_pcap_available(pcap);
    uint32_t magic = 0;
    if (available < FILE_HEADER && !pcap->ended)
        return FP_PCAP_MORE;
    if (available >= sizeof magic)
        memcpy(&magic, header, sizeof magic);
    if (magic == SECTION) {
        pcap->format = FP_PCAP_NG;
        return FP_PCAP_MORE;
    }
    const uint32_t other = __builtin_bswap32(magic);
    pcap->swapped = other == MICROSECONDS || other == NANOSECONDS;
    if (pcap->swapped)
        magic = other;
    if (magic != MICROSECONDS && magic != NANOSECONDS)
        return nothing_known(pcap, header, available);
    if (available < FILE_HEADER)
        return fp_pcap_damaged(pcap, "it is cut off within its header");
    if (fp_pcap_load16(pcap, header + 4) != 2)
        return fp_pcap_damaged(pcap, "it is a pcap file of an unknown version");
    const uint32_t link = fp_pcap_load32(pcap, header + 20);
    struct fp_pcap_interface *interface = &pcap->interface[0];
    memset(interface, 0, sizeof *interface);
    interface->linktype = (uint16_t)link;
    if (link & (1U << 26)) // the P bit: the four highest bits count the words of the FCS
        interface->fcs = (uint8_t)((link >> 28) * 2);
    interface->multiply = magic == MICROSECONDS ? 1000 : 1;
    interface->divide = 1;
    interface->snaplen = fp_pcap_load32(pcap, header + 16);
    pcap->format = FP_PCAP_CLASSIC;
    pcap->interfaces = 1;
    fp_pcap_advance(pcap, FILE_HEADER);
    return FP_PCAP_DESCRIPTION;
}

static enum fp_pcap_status next_record(struct fp_pcap *pcap, struct fp_pcap_record *record) {
    uint8_t *header = pcap->memory + pcap->at;
    const uint32_t available = fp_pcap_available(pcap);
    if (available < RECORD_HEADER)
        return fp_pcap_starve(pcap);
    const uint32_t length = fp_pcap_load32(pcap, header + 8);
    if (length > FP_PCAP_LONGEST)
        return fp_pcap_damaged(pcap, "a record claims to be longer than any packet is");
    if (available - RECORD_HEADER < length)
        return fp_pcap_starve(pcap);
    record->data = header + RECORD_HEADER;
    record->length = length;
    record->original = fp_pcap_load32(pcap, header + 12);
    record->interface = 0;
    record->outbound = false;
    record->time_ns = fp_pcap_load32(pcap, header) * SECOND_NS +
                      fp_pcap_load32(pcap, header + 4) * pcap->interface[0].multiply;
    if (pcap->interface[0].fcs != 0)
        fp_pcap_strip(pcap, record);
    fp_pcap_advance(pcap, RECORD_HEADER + length);
    return FP_PCAP_RECORD;
}

// Pass over what nobody wants, as far as it is here.
static void skip(struct fp_pcap *pcap) {
    const uint32_t available = fp_pcap_available(pcap);
    const uint32_t now = pcap->skip < available ? (uint32_t)pcap->skip : available;
    pcap->skip -= now;
    fp_pcap_advance(pcap, now);
}

enum fp_pcap_status fp_pcap_next(struct fp_pcap *pcap, struct fp_pcap_record *record) {
    if (pcap->format == FP_PCAP_CLASSIC)
        return next_record(pcap, record);
    if (pcap->format == FP_PCAP_UNKNOWN) {
        const enum fp_pcap_status status = begin(pcap);
        if (pcap->format != FP_PCAP_NG)
            return status;
    }
    for (;;) {
        skip(pcap);
        if (pcap->skip != 0)
            return fp_pcap_starve(pcap);
        const enum fp_pcap_status status = fp_pcapng_next(pcap, record);
        if (status != FP_PCAP_MORE || pcap->skip == 0)
            return status;
    }
}
