// SPDX-License-Identifier: Apache-2.0
// The blocks of a pcapng file, draft-ietf-opsawg-pcapng.
#ifndef FP_PCAPNG_H
#define FP_PCAPNG_H

#include "pcap/pcap_reader.h"

// Return the next block of a pcapng file, as fp_pcap_next; FP_PCAP_MORE with pcap->skip set for a block to skip.
enum fp_pcap_status fp_pcapng_next(struct fp_pcap *pcap, struct fp_pcap_record *record);

#endif
