// SPDX-License-Identifier: Apache-2.0
#include "pcap/pcap_reader.h"

#include <string.h>

void fp_pcap_init(struct fp_pcap *pcap, uint8_t *memory, uint32_t size) {
    memset(pcap, 0, offsetof(struct fp_pcap, interface));
    pcap->memory = memory + FP_PCAP_FRONT; // what is first in it has that much in front of it, too
    pcap->size = size - FP_PCAP_FRONT;
}

uint8_t *fp_pcap_room(struct fp_pcap *pcap, uint32_t *size) {
    const uint32_t left = fp_pcap_available(pcap);
    memmove(pcap->memory, pcap->memory + pcap->at, left);
    pcap->at = 0;
    pcap->end = left;
    *size = pcap->size - left;
    return pcap->memory + left;
}

void fp_pcap_added(struct fp_pcap *pcap, uint32_t size) {
    pcap->end += size;
    pcap->ended |= size == 0;
}

enum fp_pcap_status fp_pcap_starve(struct fp_pcap *pcap) {
    if (!pcap->ended)
        return FP_PCAP_MORE;
    pcap->cut = pcap->at != pcap->end || pcap->skip != 0;
    return FP_PCAP_END;
}

enum fp_pcap_status fp_pcap_damaged(struct fp_pcap *pcap, const char *problem) {
    pcap->problem = problem;
    return FP_PCAP_DAMAGED;
}

void fp_pcap_strip(const struct fp_pcap *pcap, struct fp_pcap_record *record) {
    const uint8_t fcs = pcap->interface[record->interface].fcs;
    if (record->length < record->original || fcs > record->length)
        return;
    record->length -= fcs;
    record->original = record->length;
}
