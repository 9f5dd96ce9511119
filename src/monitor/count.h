// SPDX-License-Identifier: Apache-2.0
// Accounting: every frame that comes in, goes out or is dropped is counted here, for the worker, for its segment, and
// for the port or remote that it is about. And the names of what is counted.
#ifndef FP_COUNT_H
#define FP_COUNT_H

#include <stdint.h>

#include "tables/tables.h"

// The name and the sentence of a reason or an event; NULL if there is none.
const char *fp_drop_name(uint32_t drop);
const char *fp_drop_sentence(uint32_t drop);
const char *fp_event_name(uint32_t event);
const char *fp_event_sentence(uint32_t event);

// Discard: count the frame once by its reason, for the worker, its segment and where it came from.
void fp_drop(const struct fp_context *context, const struct fp_frame *frame, uint32_t reason);
// The same for a packet, of which no capture is told.
void fp_count_drop(const struct fp_context *context, const struct fp_frame *frame, uint32_t reason);
// The same for a frame, or a copy of it, that did not get out to `traffic`.
void fp_drop_out(const struct fp_context *context, const struct fp_frame *frame, uint32_t reason,
                 struct fp_traffic *traffic);
void fp_note(const struct fp_context *context, const struct fp_frame *frame, uint32_t event);
// Note that the FDB had no room for the frame's source address.
void fp_count_unlearned(const struct fp_context *context, const struct fp_frame *frame);

// All of these count a super-frame as the frames that it stands for.

// Count a frame that came in (with its source) or went out to `traffic`.
void fp_count_in(const struct fp_context *context, const struct fp_frame *frame);
void fp_count_out(const struct fp_context *context, const struct fp_frame *frame,
                  struct fp_traffic *traffic);
// The same for so many frames of one segment together.
void fp_count_sent(const struct fp_context *context, struct fp_segment *segment, uint32_t frames,
                   uint64_t bytes, struct fp_traffic *traffic);
void fp_count_unsent(const struct fp_context *context, struct fp_segment *segment, uint32_t frames,
                     uint32_t reason, struct fp_traffic *traffic);
void fp_count_event(const struct fp_context *context, struct fp_segment *segment, uint32_t event,
                    uint32_t times);

#endif
