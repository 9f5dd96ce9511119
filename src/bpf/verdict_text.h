// SPDX-License-Identifier: Apache-2.0
// The verdicts' names and sentences, for who reads the counters.
#ifndef FP_BPF_VERDICT_TEXT_H
#define FP_BPF_VERDICT_TEXT_H

#include "bpf/entries.h"

static const struct {
    const char *name, *sentence;
} fp_verdict_text[FP_VERDICTS] = {
#define FP_VERDICT(name, sentence) {#name, sentence},
#include "bpf/verdict.def"
#undef FP_VERDICT
};

#endif
