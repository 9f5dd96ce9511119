// SPDX-License-Identifier: Apache-2.0
// The addresses that frames claimed and that port security refused, lately: somebody behind a port uses
// them, so control should give them to nobody else. A few for each segment: what comes later takes the
// place of what was there, so a sender that makes up addresses cannot fill more than that.
//
// Workers write, control reads. A slot has a version, which is odd while a worker writes; another one that
// comes meanwhile leaves it alone.
#ifndef FP_REFUSED_H
#define FP_REFUSED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { FP_REFUSED = 32 };

struct fp_refused {
    struct {
        _Atomic uint32_t version; // 0: nothing yet
        _Atomic uint32_t seen; // seconds on the engine's clock
        _Atomic uint64_t ip[2]; // IPv4 as ::ffff:a.b.c.d
    } slot[FP_REFUSED];
};

// Note an address of 16 bytes at the time `now`. All 0 is none.
void fp_refused_note(struct fp_refused *refused, const uint8_t *ip, uint32_t now);

// Copy slot `i` (below FP_REFUSED). False: there is nothing in it, or a worker is writing it.
bool fp_refused_read(const struct fp_refused *refused, uint32_t i, uint8_t *ip, uint32_t *seen);

#endif
