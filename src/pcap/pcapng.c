// SPDX-License-Identifier: Apache-2.0
// Section numbers are those of draft-ietf-opsawg-pcapng.
#include "pcap/pcapng.h"

#include <string.h>

enum block_type {
    INTERFACE = 1, // section 4.2
    OLD_PACKET = 2, // appendix A
    SIMPLE_PACKET = 3, // section 4.4
    PACKET = 6, // section 4.3
};

enum { FRAME = 12, SECTION_SIZE = 28, INTERFACE_SIZE = 20, SIMPLE_SIZE = 16, PACKET_SIZE = 32 };
enum { UNKNOWN_LINK = 0xffff };
enum { OPTION_NAME = 2, OPTION_RESOLUTION = 9, OPTION_FCS = 13, OPTION_SHIFT = 14 }; // section 4.2
enum { OPTION_FLAGS = 2, DIRECTION = 3, OUTBOUND = 2 }; // section 4.3.1

static const uint32_t SECTION = 0x0a0d0d0a, BYTE_ORDER = 0x1a2b3c4d; // section 4.1
static const uint64_t SECOND_NS = 1000000000;

static uint32_t padded(uint32_t size) {
    return (size + 3) & ~3U;
}

// The value of the first such option between `at` and `end`, with its length; NULL: there is none.
static const uint8_t *option(const struct fp_pcap *pcap, const uint8_t *at, const uint8_t *end,
                             uint16_t code, uint16_t *length) {
    while (end - at >= 4) {
        const uint16_t found = fp_pcap_load16(pcap, at);
        *length = fp_pcap_load16(pcap, at + 2);
        at += 4;
        if (found == 0 || *length > end - at)
            return NULL;
        if (found == code)
            return at;
        if (padded(*length) > end - at)
            return NULL;
        at += padded(*length);
    }
    return NULL;
}

static enum fp_pcap_status begin_section(struct fp_pcap *pcap, const uint8_t *block) {
    uint32_t magic;
    memcpy(&magic, block + 8, sizeof magic);
    pcap->swapped = magic == __builtin_bswap32(BYTE_ORDER);
    if (magic != BYTE_ORDER && !pcap->swapped)
        return fp_pcap_damaged(pcap, "a section has no byte order");
    const uint32_t total = fp_pcap_load32(pcap, block + 4);
    if (total < SECTION_SIZE || total % 4 != 0)
        return fp_pcap_damaged(pcap, "a section's header has an impossible length");
    if (fp_pcap_load16(pcap, block + 12) != 1)
        return fp_pcap_damaged(pcap, "a section is of an unknown version");
    pcap->interfaces = 0;
    pcap->skip = total;
    return FP_PCAP_MORE;
}

// section 4.2, if_tsresol
static bool set_resolution(struct fp_pcap_interface *interface, uint8_t resolution) {
    const uint8_t digits = resolution & 0x7f;
    interface->multiply = interface->divide = 1;
    interface->binary_digits = 0;
    if (resolution & 0x80) {
        interface->binary_digits = digits;
        interface->multiply = digits == 0 ? SECOND_NS : 1;
        return digits < 64;
    }
    for (uint8_t i = digits; i < 9; i++)
        interface->multiply *= 10;
    for (uint8_t i = 9; i < digits && i < 27; i++)
        interface->divide *= 10;
    return digits <= 27;
}

static uint64_t nanoseconds(const struct fp_pcap_interface *interface, uint64_t ticks) {
    uint64_t result = ticks * interface->multiply;
    if (interface->binary_digits != 0)
        result = (uint64_t)(((__uint128_t)ticks * SECOND_NS) >> interface->binary_digits);
    else if (interface->divide != 1)
        result /= interface->divide;
    return result + interface->shift_ns;
}

// Pass over a block whose length is right and whose content is not.
static enum fp_pcap_status pass_over(struct fp_pcap *pcap, uint32_t total) {
    pcap->odd++;
    pcap->skip = total;
    return FP_PCAP_MORE;
}

static enum fp_pcap_status describe(struct fp_pcap *pcap, const uint8_t *block, uint32_t total) {
    const uint8_t *options = block + 16, *end = block + total - 4;
    uint16_t size;
    if (pcap->interfaces == FP_PCAP_INTERFACES)
        return pass_over(pcap, total);
    struct fp_pcap_interface *interface = &pcap->interface[pcap->interfaces];
    memset(interface, 0, sizeof *interface);
    interface->linktype = UNKNOWN_LINK; // whatever follows, it has its number
    interface->multiply = interface->divide = 1;
    pcap->interfaces++;
    if (total < INTERFACE_SIZE)
        return FP_PCAP_DESCRIPTION;
    interface->snaplen = fp_pcap_load32(pcap, block + 12);
    const uint8_t *value = option(pcap, options, end, OPTION_RESOLUTION, &size);
    if (!set_resolution(interface, value != NULL && size == 1 ? *value : 6))
        return FP_PCAP_DESCRIPTION;
    interface->linktype = fp_pcap_load16(pcap, block + 8);
    value = option(pcap, options, end, OPTION_FCS, &size);
    if (value != NULL && size == 1)
        interface->fcs = *value <= 8 ? *value : *value / 8; // some writers count bits
    value = option(pcap, options, end, OPTION_SHIFT, &size);
    if (value != NULL && size == 8) {
        const uint64_t first = fp_pcap_load32(pcap, value),
                       second = fp_pcap_load32(pcap, value + 4);
        const bool big = (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) != pcap->swapped;
        interface->shift_ns = (big ? first << 32 | second : second << 32 | first) * SECOND_NS;
    }
    value = option(pcap, options, end, OPTION_NAME, &size);
    if (value != NULL) {
        interface->name_length = size < FP_PCAP_NAME ? size : FP_PCAP_NAME;
        memcpy(interface->name, value, interface->name_length);
    }
    return FP_PCAP_DESCRIPTION;
}

static enum fp_pcap_status take(struct fp_pcap *pcap, struct fp_pcap_record *record, uint8_t *data,
                                uint32_t total) {
    if (record->interface >= pcap->interfaces || record->length > FP_PCAP_LONGEST)
        return pass_over(pcap, total);
    record->data = data;
    if (pcap->interface[record->interface].fcs != 0)
        fp_pcap_strip(pcap, record);
    pcap->last_ns = record->time_ns;
    return FP_PCAP_RECORD;
}

static enum fp_pcap_status simple(struct fp_pcap *pcap, uint8_t *block, uint32_t total,
                                  struct fp_pcap_record *record) {
    if (total < SIMPLE_SIZE || pcap->interfaces == 0)
        return pass_over(pcap, total);
    const uint32_t snaplen = pcap->interface[0].snaplen;
    record->original = fp_pcap_load32(pcap, block + 8);
    record->length = record->original;
    if (record->length > total - SIMPLE_SIZE)
        record->length = total - SIMPLE_SIZE;
    if (snaplen != 0 && record->length > snaplen)
        record->length = snaplen;
    record->interface = 0;
    record->outbound = false;
    record->time_ns = pcap->last_ns;
    return take(pcap, record, block + 12, total);
}

static enum fp_pcap_status packet(struct fp_pcap *pcap, uint8_t *block, uint32_t total, bool old,
                                  struct fp_pcap_record *record) {
    if (total < PACKET_SIZE || fp_pcap_load32(pcap, block + 20) > total - PACKET_SIZE)
        return pass_over(pcap, total);
    record->interface = old ? fp_pcap_load16(pcap, block + 8) : fp_pcap_load32(pcap, block + 8);
    record->length = fp_pcap_load32(pcap, block + 20);
    record->original = fp_pcap_load32(pcap, block + 24);
    record->outbound = false;
    const uint8_t *options = block + 28 + padded(record->length), *end = block + total - 4;
    uint16_t size;
    const uint8_t *flags = option(pcap, options, end, OPTION_FLAGS, &size);
    if (flags != NULL && size == 4)
        record->outbound = (fp_pcap_load32(pcap, flags) & DIRECTION) == OUTBOUND;
    const uint64_t ticks =
        (uint64_t)fp_pcap_load32(pcap, block + 12) << 32 | fp_pcap_load32(pcap, block + 16);
    if (record->interface < pcap->interfaces)
        record->time_ns = nanoseconds(&pcap->interface[record->interface], ticks);
    return take(pcap, record, block + 28, total);
}

enum fp_pcap_status fp_pcapng_next(struct fp_pcap *pcap, struct fp_pcap_record *record) {
    uint8_t *block = pcap->memory + pcap->at;
    const uint32_t available = fp_pcap_available(pcap);
    uint32_t type;
    if (available < FRAME)
        return fp_pcap_starve(pcap);
    memcpy(&type, block, sizeof type);
    if (type == SECTION)
        return available < SECTION_SIZE ? fp_pcap_starve(pcap) : begin_section(pcap, block);
    type = fp_pcap_load32(pcap, block);
    const uint32_t total = fp_pcap_load32(pcap, block + 4);
    if (total < FRAME || total % 4 != 0)
        return fp_pcap_damaged(pcap, "a block has an impossible length");
    if (type != PACKET && type != INTERFACE && type != SIMPLE_PACKET && type != OLD_PACKET) {
        pcap->skip = total;
        return FP_PCAP_MORE;
    }
    if (total > FP_PCAP_LONGEST_BLOCK)
        return fp_pcap_damaged(pcap, "a block claims to be longer than any packet is");
    if (available < total)
        return fp_pcap_starve(pcap);
    if (fp_pcap_load32(pcap, block + total - 4) != total)
        return fp_pcap_damaged(pcap, "a block's two lengths differ");
    enum fp_pcap_status status;
    if (type == INTERFACE)
        status = describe(pcap, block, total);
    else if (type == SIMPLE_PACKET)
        status = simple(pcap, block, total, record);
    else
        status = packet(pcap, block, total, type == OLD_PACKET, record);
    if (status == FP_PCAP_RECORD || status == FP_PCAP_DESCRIPTION)
        fp_pcap_advance(pcap, total);
    return status;
}
