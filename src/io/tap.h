// SPDX-License-Identifier: Apache-2.0
// Frames in and out of a TAP queue, or of anything else that moves one frame with a vnet header per
// read and write (a memory port's socket).
#ifndef FP_TAP_H
#define FP_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "packet/frame.h"

// Set up a TAP queue that was just opened: non-blocking, closed on exec, with a vnet header of FP_VNET_SIZE
// bytes, unfinished inner checksums, and super-frames of TCP and UDP if asked for. Kernels before 6.2 have no
// super-frames of UDP and send none. Return 0 or -errno.
int fp_tap_setup(int fd, bool tcp, bool udp);

// Write the interface's present name, 16 bytes with the final 0, to `name`. Return 0 or -errno.
int fp_tap_name(int fd, char *name);

// Write the interface's hardware address to *mac; it may be in any namespace. Return 0 or -errno.
int fp_tap_mac(int fd, uint64_t *mac);

// Read up to `room` frames into `memory`, one behind the other, until there are no more or less than
// FP_TAP_ROOM bytes are left. Return their number. *error is 0, or the errno that ended it: EBADFD, ENODEV
// or ENXIO if the interface is gone, EPIPE if a memory port's other end is gone, anything else for a frame
// that could not be read.
enum { FP_TAP_ROOM = FP_HEADROOM + FP_FRAME_SIZE };
uint32_t fp_tap_read(int fd, struct fp_frame *frames, uint32_t room, uint8_t *memory, uint32_t size,
                     int *error);

// Write one frame to a port with this MTU. Return 0, 1 (it went out as an inferred super-frame), or -errno.
int fp_tap_write(int fd, const struct fp_frame *frame, uint32_t mtu);

#endif
