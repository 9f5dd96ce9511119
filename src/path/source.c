// SPDX-License-Identifier: Apache-2.0
#include "path/source.h"

#include <string.h>

#include "monitor/count.h"

bool fp_source_look(const struct fp_context *context, struct fp_source *source,
                    const struct sockaddr_storage *from) {
    const struct fp_tables *tables = context->tables;
    struct fp_address *address = &source->address;
    fp_address_from(&source->from, from);
    if (!source->valid || memcmp(source->from.ip, address->ip, sizeof address->ip) != 0) {
        source->valid = true;
        source->segment = NULL;
        *address = source->from;
        address->udp_port = source->udp_port;
        source->remote = source->known_only ? fp_admitted_find(tables, address->ip)
                                            : fp_remotes_find(tables->remotes, address);
    }
    return source->remote != FP_REMOTE_NONE || !source->known_only;
}

static bool is_member(const struct fp_context *context, struct fp_source *source,
                      const struct fp_segment *segment) {
    if (source->segment != segment) {
        source->segment = segment;
        source->member =
            fp_directory_get(context->tables->admitted, segment->index, source->address.ip) != 0;
    }
    return source->member;
}

bool fp_source_mark(const struct fp_context *context, struct fp_source *source,
                    struct fp_frame *frame) {
    struct fp_remotes *remotes = context->tables->remotes;
    frame->source = fp_dest_make(FP_DEST_NONE, 0);
    if (source->remote == FP_REMOTE_NONE &&
        atomic_load_explicit(&frame->segment->learning, memory_order_relaxed)) {
        source->remote = fp_remotes_add(remotes, &source->address, FP_REMOTES_LEARNED);
        if (source->remote == FP_REMOTE_NONE)
            fp_note(context, frame, FP_EVENT_remotes_full);
    }
    if (source->remote != FP_REMOTE_NONE)
        frame->source = fp_dest_make(FP_DEST_REMOTE, source->remote);
    return !frame->segment->members_only || is_member(context, source, frame->segment);
}
