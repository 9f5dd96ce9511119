// SPDX-License-Identifier: Apache-2.0
// A capture file: read in one piece and in pieces of any size, with the same result.
//
// Input: the size of the pieces (two bytes), then the file.
#include <string.h>

#include "bed.h"
#include "pcap/pcap.h"

// <sanitizer/asan_interface.h>, which not every runtime's package brings.
void __asan_poison_memory_region(const volatile void *at, size_t size);
void __asan_unpoison_memory_region(const volatile void *at, size_t size);

// What came out: how it ended, and a sum over all records, in order.
struct outcome {
    enum fp_pcap_status status;
    bool cut;
    uint64_t offset, sum, records;
};

static void add(struct outcome *outcome, uint64_t value) {
    outcome->sum = (outcome->sum ^ value) * UINT64_C(0x100000001b3);
}

static void check_record(const struct fp_pcap *pcap, const struct fp_pcap_record *record,
                         struct outcome *outcome) {
    CHECK(record->interface < pcap->interfaces && record->length <= FP_PCAP_LONGEST);
    CHECK(record->data >= pcap->memory);
    CHECK(record->data + record->length <= pcap->memory + pcap->end);
    for (uint32_t i = 0; i < record->length; i++)
        add(outcome, record->data[i]);
    add(outcome, record->length);
    add(outcome, record->original);
    add(outcome, record->interface);
    add(outcome, record->outbound);
    add(outcome, record->time_ns);
    // A frame's owner may write a header in front of it: nothing behind it depends on that.
    memset(record->data - FP_PCAP_FRONT, 0xaa, FP_PCAP_FRONT + record->length);
    outcome->records++;
}

static void check_interface(const struct fp_pcap *pcap, struct outcome *outcome) {
    CHECK(pcap->interfaces > 0 && pcap->interfaces <= FP_PCAP_INTERFACES);
    const struct fp_pcap_interface *interface = &pcap->interface[pcap->interfaces - 1];
    CHECK(interface->name_length <= FP_PCAP_NAME && interface->divide != 0);
    for (uint32_t i = 0; i < interface->name_length; i++)
        add(outcome, (uint8_t)interface->name[i]);
    add(outcome, interface->linktype);
}

// Hand the reader `size` bytes at most; what is behind them is out of bounds.
static void feed(struct fp_pcap *pcap, struct input *input, size_t size) {
    uint32_t room;
    __asan_unpoison_memory_region(pcap->memory, pcap->size);
    uint8_t *to = fp_pcap_room(pcap, &room);
    CHECK(room > 0 && to + room == pcap->memory + pcap->size);
    if (size > input->left)
        size = input->left;
    if (size > room)
        size = room;
    memcpy(to, input->at, size);
    input->at += size;
    input->left -= size;
    __asan_poison_memory_region(to + size, room - size);
    fp_pcap_added(pcap, (uint32_t)size);
}

static struct outcome read_all(uint8_t *memory, struct input input, size_t piece) {
    struct outcome outcome = {0};
    static struct fp_pcap pcap; // with thousands of interfaces
    struct fp_pcap_record record;
    fp_pcap_init(&pcap, memory, FP_PCAP_MEMORY);
    for (;;) {
        outcome.status = fp_pcap_next(&pcap, &record);
        if (outcome.status == FP_PCAP_RECORD)
            check_record(&pcap, &record, &outcome);
        else if (outcome.status == FP_PCAP_DESCRIPTION)
            check_interface(&pcap, &outcome);
        else if (outcome.status == FP_PCAP_MORE)
            feed(&pcap, &input, piece);
        else
            break;
    }
    CHECK((outcome.status == FP_PCAP_DAMAGED) == (pcap.problem != NULL));
    CHECK(outcome.status == FP_PCAP_DAMAGED || input.left == 0);
    outcome.cut = pcap.cut;
    outcome.offset = pcap.offset;
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t memory[FP_PCAP_MEMORY];
    struct input input = {data, size};
    const size_t piece = 1 + take16(&input) % 1024;
    const struct outcome whole = read_all(memory, input, FP_PCAP_MEMORY);
    const struct outcome pieces = read_all(memory, input, piece);
    __asan_unpoison_memory_region(memory, sizeof memory);
    CHECK(whole.status == pieces.status && whole.cut == pieces.cut);
    CHECK(whole.records == pieces.records && whole.sum == pieces.sum);
    CHECK(whole.offset == pieces.offset);
    return 0;
}
