// SPDX-License-Identifier: Apache-2.0
// What the kernel leaves to be done later: unfinished inner checksums and super-frames, and the
// virtio-net header that says so on a TAP (Virtio 1.2 section 5.1.6, <linux/virtio_net.h>).
#ifndef FP_OFFLOAD_H
#define FP_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "packet/frame.h"
#include "packet/wire.h"

enum { FP_VNET_SIZE = 12 }; // struct virtio_net_hdr_mrg_rxbuf

// Read the header in front of a frame that came from a TAP. The kernel's hdr_len is not used: it is
// known to be wrong at times.
void fp_vnet_read(const uint8_t *header, struct fp_frame *frame);

// Write the header for a frame that goes to a port with this MTU (bytes of the IP packet). A TCP
// packet that is larger than the MTU becomes a super-frame: a kernel vxlan device behind a veth sends
// those unsegmented. Returns true where that happened.
bool fp_vnet_write(uint8_t *header, const struct fp_frame *frame, uint32_t mtu);

// Set what follows from the parsed headers and gso_size: `segments`, `bytes` and `headers`. What stands
// behind a super-frame's IP packet is cut off. False: gso_type and gso_size contradict the headers.
bool fp_offload_measure(struct fp_frame *frame);

// The most frames that one super-frame from a port may stand for. No kernel makes more than 128 of UDP
// (UDP_MAX_SEGMENTS, 64 before Linux 6.9). TCP's segments are as small as its peer wants: the smallest that
// Linux agrees to (net.ipv4.tcp_min_snd_mss, 48) leaves 36 bytes beside timestamps, of which 64 KB has
// 1,821. What has more was made up, and would become up to 65,000 packets, 105 times the bytes.
enum { FP_SEGMENTS_TCP = 2048, FP_SEGMENTS_UDP = 128 };

static inline bool fp_offload_is_tiny(const struct fp_frame *frame) {
    if (__builtin_expect(frame->segments <= FP_SEGMENTS_UDP, 1))
        return false;
    return frame->flow.protocol != FP_PROTOCOL_TCP || frame->segments > FP_SEGMENTS_TCP;
}

// The gso_type that belongs to a super-frame's headers; 0 if they can't be those of one.
uint8_t fp_offload_gso_type(const struct fp_frame *frame);

// The bytes in front of the payload of a TCP or UDP packet, from the Ethernet header on; 0 if its
// headers are cut off.
uint32_t fp_offload_headers(const struct fp_frame *frame);

// Finish the checksum that the kernel left open, in place; clears needs_checksum. False: the header
// points outside of the frame.
bool fp_offload_complete(struct fp_frame *frame);

// The offset of the checksum field from the transport header, and 0 if there is none: neither TCP
// nor UDP, or cut off.
uint16_t fp_offload_checksum_field(const struct fp_flow *flow);

// A packet from the underlay whose TCP or UDP checksum equals its pseudo-header's sum was never
// finished by its sender (a kernel on the same machine, behind a veth). Notes that in `frame`;
// returns true if it did. One finished checksum in 65,536 looks the same, which does no harm: the
// port's kernel then takes the packet as verified.
bool fp_offload_infer(struct fp_frame *frame);

#endif
