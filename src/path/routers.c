// SPDX-License-Identifier: Apache-2.0
#include "path/routers.h"

#include "packet/flow.h"
#include "packet/neighbour.h"
#include "packet/wire.h"

uint32_t fp_routers_check6(const struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    struct fp_upper upper = {.at = flow->transport, .protocol = flow->protocol};
    const enum fp_upper_kind kind =
        flow->transport != 0 ? FP_UPPER_READ : fp_flow_upper(frame->data, flow, &upper);
    if (kind == FP_UPPER_HIDDEN)
        return FP_DROP_hidden_headers;
    if (kind != FP_UPPER_READ || upper.protocol != FP_PROTOCOL_ICMPV6)
        return FP_DROP_NONE;
    const uint8_t type = frame->data[upper.at];
    return type == FP_ND_ROUTER_ADVERTISE || type == FP_ND_REDIRECT ? FP_DROP_rogue_router
                                                                    : FP_DROP_NONE;
}
