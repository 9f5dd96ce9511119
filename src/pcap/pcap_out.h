// SPDX-License-Identifier: Apache-2.0
// A sink that writes what leaves the engine into a pcapng file: an interface for each port (frames) and for each
// remote (packets, with the IP and UDP headers that the kernel would put around them).
//
// Only packets are written here, since there are many. fastpath/pcap/pcapng.py writes the rest, such as the
// descriptions of interfaces, through the same file descriptor.
#ifndef FP_PCAP_OUT_H
#define FP_PCAP_OUT_H

#include <stdint.h>

#include "io/sink.h"

enum { FP_PCAP_OUT_MEMORY = 1 << 20 };

struct fp_pcap_out {
    struct fp_sink sink; // the first member: it is how the functions find the rest
    int fd;
    int error; // errno of a write that failed; nothing is written after that
    uint32_t used;
    uint8_t *memory; // FP_PCAP_OUT_MEMORY bytes that wait to be written
    uint32_t *port, *remote; // by index: 1 + the number of the interface; 0: not described yet
    struct fp_address local; // where packets come from; its UDP port is chosen by flow
    // The first packet to a remote: 1 + the number of its interface.
    uint32_t (*describe)(struct fp_pcap_out *self, const struct fp_remote *remote);
    void *owner; // for describe
};

// The rest of *out is set by the caller.
void fp_pcap_out_init(struct fp_pcap_out *out);

// Write what waits. Return 0, or the errno of the write that failed.
int fp_pcap_out_flush(struct fp_pcap_out *out);

#endif
