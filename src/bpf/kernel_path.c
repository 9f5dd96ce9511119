// SPDX-License-Identifier: Apache-2.0
// The kernel path: which frames the kernel carries itself, and which it hands to the engine.
//
//   container                 pen: a namespace without addresses                  host
//   eth0 ===== veth ==== port ---- fp_from_port ----> TAP =================== engine
//                         ^  |                         |
//                         |  +--> another port         +-- fp_from_engine --> port
//                         |  +--> vxlan device ============================== underlay
//                         +----- fp_from_tunnel ---------- vxlan device
//
// Each program is the ingress filter (clsact, direct action) of the interface that it is named after. It
// fails closed: what no map knows goes to the engine or is dropped, never anywhere else.
#include "bpf/check.h"
#include "bpf/count.h"
#include "bpf/deliver.h"
#include "bpf/maps.h"
#include "bpf/parse.h"

static __always_inline int fp_to_remote(const struct __sk_buff *skb, const struct fp_packet *packet,
                                        __u32 vni, const struct fp_bpf_destination *remote) {
    fp_count_rx(skb, packet, fp_traffic_of_port(skb->ifindex));
    fp_count_tx(skb, packet, fp_traffic_of_remote(vni, remote->peer));
    return fp_send(remote->ifindex, FP_VERDICT_to_remote);
}

static __always_inline int fp_to_local(struct __sk_buff *skb, const struct fp_packet *packet,
                                       __u32 other) {
    fp_count_rx(skb, packet, fp_traffic_of_port(skb->ifindex));
    fp_count_tx(skb, packet, fp_traffic_of_port(other));
    return fp_receive(skb, other, FP_VERDICT_to_local);
}

// On the host end of a container's veth.
SEC("tc")
int fp_from_port(struct __sk_buff *skb) {
    const __u32 index = skb->ifindex;
    const struct fp_bpf_port *port = bpf_map_lookup_elem(&fp_ports, &index);
    struct fp_packet packet;
    if (!port)
        return fp_drop(FP_VERDICT_drop_no_port);
    if (!(port->flags & FP_PORT_ON))
        return fp_send(port->tap, FP_VERDICT_engine_off);
    const enum fp_kind kind = fp_parse(skb, &packet);
    if (kind == FP_KIND_ENGINE || fp_is_tiny(skb, &packet))
        return fp_send(port->tap, FP_VERDICT_engine_kind);
    const struct fp_bpf_destination *destination = fp_find(port->vni, packet.destination);
    if (!destination)
        return fp_send(port->tap, FP_VERDICT_engine_destination);
    if (!fp_is_allowed(index, &packet))
        return fp_send(port->tap, FP_VERDICT_engine_source);
    if (destination->kind == FP_DESTINATION_LOCAL) {
        const __u32 other = destination->ifindex;
        if (other == index || !fp_is_port(other, port->vni))
            return fp_send(port->tap, FP_VERDICT_engine_destination);
        return fp_to_local(skb, &packet, other);
    }
    if (kind != FP_KIND_ANYWHERE)
        return fp_send(port->tap, FP_VERDICT_engine_kind);
    if (!fp_fits(skb, &packet, destination->mtu))
        return fp_send(port->tap, FP_VERDICT_engine_size);
    return fp_to_remote(skb, &packet, port->vni, destination);
}

// On a network's vxlan device. The frame is checked as the sending host checked it: a checksum that the
// container left open may have been written over an address in between.
SEC("tc")
int fp_from_tunnel(struct __sk_buff *skb) {
    const __u32 index = skb->ifindex;
    const __u32 *vni = bpf_map_lookup_elem(&fp_tunnels, &index);
    struct fp_packet packet;
    if (!vni)
        return fp_drop(FP_VERDICT_drop_no_network);
    if (fp_parse(skb, &packet) != FP_KIND_ANYWHERE)
        return fp_drop(FP_VERDICT_drop_kind);
    const struct fp_bpf_destination *source = fp_find(*vni, packet.sender.mac);
    if (!source || source->kind != FP_DESTINATION_REMOTE || source->ifindex != index ||
        !fp_is_allowed(index, &packet))
        return fp_drop(FP_VERDICT_drop_source);
    const struct fp_bpf_destination *destination = fp_find(*vni, packet.destination);
    if (!destination || destination->kind != FP_DESTINATION_LOCAL ||
        !fp_is_port(destination->ifindex, *vni))
        return fp_drop(FP_VERDICT_drop_destination);
    fp_count_rx(skb, &packet, fp_traffic_of_remote(*vni, source->peer));
    fp_count_tx(skb, &packet, fp_traffic_of_port(destination->ifindex));
    return fp_receive(skb, destination->ifindex, FP_VERDICT_from_remote);
}

// On an engine's TAP: what it carries was checked by the engine.
SEC("tc")
int fp_from_engine(struct __sk_buff *skb) {
    const __u32 index = skb->ifindex;
    const __u32 *port = bpf_map_lookup_elem(&fp_taps, &index);
    if (!port)
        return fp_drop(FP_VERDICT_drop_no_port);
    return fp_receive(skb, *port, FP_VERDICT_from_engine);
}

// Every helper that the programs call is there for all licences.
char fp_license[] SEC("license") = "Apache-2.0";
