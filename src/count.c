// SPDX-License-Identifier: Apache-2.0
#include "count.h"

#include <stddef.h>

struct label {
    const char *name;
    const char *sentence;
};

static const struct label drops[FP_DROP_COUNT] = {
#define FP_DROP(name, sentence) [FP_DROP_##name] = {#name, sentence},
#include "drop.def"
#undef FP_DROP
};

static const struct label events[FP_EVENT_COUNT] = {
#define FP_EVENT(name, sentence) [FP_EVENT_##name] = {#name, sentence},
#include "event.def"
#undef FP_EVENT
};

const char *fp_drop_name(uint32_t drop) {
    return drop < FP_DROP_COUNT ? drops[drop].name : NULL;
}

const char *fp_drop_sentence(uint32_t drop) {
    return drop < FP_DROP_COUNT ? drops[drop].sentence : NULL;
}

const char *fp_event_name(uint32_t event) {
    return event < FP_EVENT_COUNT ? events[event].name : NULL;
}

const char *fp_event_sentence(uint32_t event) {
    return event < FP_EVENT_COUNT ? events[event].sentence : NULL;
}
