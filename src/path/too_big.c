// SPDX-License-Identifier: Apache-2.0
#include "path/too_big.h"

#include "monitor/count.h"
#include "packet/icmp.h"
#include "path/downlink.h"

bool fp_too_big_tell(const struct fp_context *context, const struct fp_frame *frame,
                     const struct fp_remote *remote, uint32_t length) {
    uint8_t memory[FP_ICMP_TOO_BIG_SIZE];
    const uint32_t headers = FP_VXLAN_SIZE + frame->flow.network;
    const uint32_t payload = fp_remote_payload(remote);
    if (fp_dest_kind(frame->source) != FP_DEST_PORT || payload <= headers)
        return false;
    struct fp_port *port = fp_port_get(context->tables, fp_dest_index(frame->source));
    if (port == NULL || port->segment != frame->segment)
        return false;
    // Padding of the frame is not the packet's.
    const uint32_t end = length < frame->flow.end ? length : frame->flow.end;
    struct fp_frame answer = {.data = memory, .segment = frame->segment, .segments = 1};
    answer.length = answer.bytes =
        fp_icmp_too_big(memory, frame, end - frame->flow.network, payload - headers);
    if (answer.length == 0)
        return false;
    if (!fp_storm_take(&port->told, context->now, 1))
        return true;
    fp_flow_parse(memory, answer.length, &answer.flow);
    fp_note(context, frame, FP_EVENT_told_too_big);
    fp_downlink_send(context, &answer, port);
    return true;
}
