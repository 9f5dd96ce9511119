/* SPDX-License-Identifier: Apache-2.0
 *
 * The `null` overlay: what a TAP gives is carried over UDP as it is, without VXLAN, bridge, FDB,
 * checksums or counters: what reading, sending, receiving and writing alone cost.
 *
 * A blob is a prefix (magic and length), a vnet header and a frame, which may be a super-frame. A
 * large blob leaves as one UDP_SEGMENT send whose segments fit the underlay; small blobs of one size
 * leave together as one. The receiver (UDP_GRO) writes every blob to its TAP; one that a lost segment
 * tore is dropped. One thread for both directions, blocking in poll when there is nothing to do.
 */
#ifndef FPB_SHUTTLE_H
#define FPB_SHUTTLE_H

/* Carry until an error; returns its errno. `tap` and `udp` (connected, UDP_GRO set) are
 * non-blocking; `segment` is the largest UDP payload that the underlay takes unfragmented. */
int fpb_shuttle(int tap, int udp, int segment);

#endif
