// SPDX-License-Identifier: Apache-2.0
// Frames in and out of a TAP queue, or of anything else that moves one frame with a vnet header per
// read and write (a memory port's socket).
#ifndef FP_TAP_H
#define FP_TAP_H

#include <stdint.h>

#include "frame.h"

// Make a freshly opened TAP queue ours: non-blocking, closed on exec, vnet header of FP_VNET_SIZE
// bytes, inner checksums left to us, no super-frames. 0 or -errno.
int fp_tap_setup(int fd);

// The interface's present name: 16 bytes with the final 0. 0 or -errno.
int fp_tap_name(int fd, char *name);

// The interface's hardware address, whatever namespace it is in by now. 0 or -errno.
int fp_tap_mac(int fd, uint64_t *mac);

// Read frames until there are no more or `room` is used up. Each frame's `data` says where to put it.
// Returns how many. *error is 0, or the errno that ended it: EBADFD, ENODEV or ENXIO where the interface
// is gone, EPIPE where a memory port's other end is, anything else for a frame that could not be read.
uint32_t fp_tap_read(int fd, struct fp_frame *frames, uint32_t room, int *error);

// Write one frame to a port with this MTU, its vnet header in the headroom. 0, 1 (it went out as an
// inferred super-frame), or -errno.
int fp_tap_write(int fd, struct fp_frame *frame, uint32_t mtu);

#endif
