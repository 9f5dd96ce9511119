// SPDX-License-Identifier: Apache-2.0
// Reading capture files: pcap and pcapng, of either byte order, bytes from anywhere.
//
// The reader does no I/O: the caller puts bytes into its memory (fp_pcap_room, fp_pcap_added), and takes
// records out one by one (fp_pcap_next) without copying them. So a file of any size needs no more memory than its
// longest record, and it may be a pipe. All of the file is untrusted.
//
// Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
#ifndef FP_PCAP_H
#define FP_PCAP_H

#include "pcap/pcap_reader.h"

enum fp_pcap_status fp_pcap_next(struct fp_pcap *pcap, struct fp_pcap_record *record);

#endif
