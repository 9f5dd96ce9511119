// SPDX-License-Identifier: Apache-2.0
#include "pcap/pcap_out.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "monitor/outer.h"

enum { PACKET = 6, HEAD = 28, TAIL = 4 }; // draft-ietf-opsawg-pcapng section 4.3
enum { FIRST_SOURCE_PORT = 49152 }; // RFC 7348 section 5: from here to 65535

int fp_pcap_out_flush(struct fp_pcap_out *out) {
    uint32_t done = 0;
    while (done < out->used && out->error == 0) {
        const ssize_t written = write(out->fd, out->memory + done, out->used - done);
        if (written >= 0)
            done += (uint32_t)written;
        else if (errno != EINTR)
            out->error = errno;
    }
    out->used = 0;
    return out->error;
}

static void put32(struct fp_pcap_out *out, uint32_t value) {
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                              (uint8_t)(value >> 24)};
    memcpy(out->memory + out->used, bytes, sizeof bytes);
    out->used += sizeof bytes;
}

static void put(struct fp_pcap_out *out, const uint8_t *data, uint32_t length) {
    if (length != 0)
        memcpy(out->memory + out->used, data, length);
    out->used += length;
}

// An enhanced packet block of headers and data.
static void put_packet(struct fp_pcap_out *out, uint32_t interface, uint64_t time_ns,
                       const uint8_t *headers, uint32_t headers_length, const uint8_t *data,
                       uint32_t data_length) {
    static const uint8_t zeros[3];
    const uint32_t length = headers_length + data_length;
    const uint32_t padding = -length & 3U;
    const uint32_t total = HEAD + length + padding + TAIL;
    if (total > FP_PCAP_OUT_MEMORY - out->used)
        fp_pcap_out_flush(out);
    put32(out, PACKET);
    put32(out, total);
    put32(out, interface);
    put32(out, (uint32_t)(time_ns >> 32));
    put32(out, (uint32_t)time_ns);
    put32(out, length);
    put32(out, length);
    put(out, headers, headers_length);
    put(out, data, data_length);
    put(out, zeros, padding);
    put32(out, total);
}

static void put_frame(const struct fp_sink *self, const struct fp_frame *frame,
                      const struct fp_port *port) {
    struct fp_pcap_out *out = (struct fp_pcap_out *)self;
    const uint32_t interface = out->port[port->index];
    if (interface != 0)
        put_packet(out, interface - 1, frame->time_ns, NULL, 0, frame->data, frame->length);
}

static void put_remote(const struct fp_sink *self, const struct fp_frame *frame,
                       const struct fp_packet *packet, const struct fp_remote *remote) {
    struct fp_pcap_out *out = (struct fp_pcap_out *)self;
    struct fp_address from = out->local;
    uint8_t headers[FP_OUTER_SIZE];
    if (out->remote[remote->index] == 0)
        out->remote[remote->index] = out->describe(out, remote);
    if (out->remote[remote->index] == 0)
        return;
    from.udp_port = (uint16_t)(FIRST_SOURCE_PORT + (frame->flow.hash >> 18));
    const uint32_t size =
        fp_outer_headers(headers, &from, &remote->address, packet->tos, packet->length);
    put_packet(out, out->remote[remote->index] - 1, frame->time_ns, headers, size, packet->data,
               packet->length);
}

void fp_pcap_out_init(struct fp_pcap_out *out) {
    out->sink.frame = put_frame;
    out->sink.packet = put_remote;
}
