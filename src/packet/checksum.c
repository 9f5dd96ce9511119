// SPDX-License-Identifier: Apache-2.0
// Every way adds 32-bit words into 64-bit lanes: no carry is lost before 2^32 words.
#include "packet/checksum.h"

#include <arpa/inet.h>
#include <stddef.h>

#include "packet/wire.h"

// Two 64-bit sums as one. Ones' complement of 32-bit halves loses nothing: 2^32 = 1 modulo 2^16 - 1.
static inline uint64_t join(uint64_t a, uint64_t b) {
    return (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32);
}

// Less than 64 bytes, or what is left behind them.
static inline uint64_t add_rest(uint64_t sum, const uint8_t *data, uint32_t length) {
    for (; length >= 4; data += 4, length -= 4) {
        uint32_t word;
        memcpy(&word, data, sizeof word);
        sum += word;
    }
    if (length & 2) {
        uint16_t half;
        memcpy(&half, data, sizeof half);
        sum += half;
        data += 2;
    }
    return length & 1 ? sum + htons((uint16_t)(*data << 8)) : sum; // padded, RFC 1071 section 1
}

// Not inlined: its arrays have a stack protector, which short data need not pay for.
__attribute__((noinline)) static uint64_t add_blocks(uint64_t sum, const uint8_t *data,
                                                     uint32_t length) {
    uint64_t lane[8] = {0};
    for (; length >= 32; data += 32, length -= 32) {
        uint32_t word[8];
        memcpy(word, data, sizeof word);
        for (int i = 0; i < 8; i++)
            lane[i] += word[i];
    }
    for (int i = 0; i < 8; i++)
        sum = join(sum, lane[i]);
    return sum;
}

static uint64_t portable(uint64_t sum, uint8_t *to, const uint8_t *from, uint32_t length) {
    if (to != NULL) {
        memmove(to, from, length);
        from = to;
    }
    if (length < 32)
        return add_rest(join(sum, 0), from, length); // folded first: it may be any number
    return add_rest(add_blocks(sum, from, length), from + length / 32 * 32, length % 32);
}

#ifdef __x86_64__
#include <immintrin.h>

// A block is loaded before it is stored, and stores never reach what is still to be loaded, since `to`
// lies in front of `from`.
__attribute__((target("avx2"))) static uint64_t avx2(uint64_t sum, uint8_t *to, const uint8_t *from,
                                                     uint32_t length) {
    const __m256i low = _mm256_set1_epi64x(0xffffffff);
    __m256i even = _mm256_setzero_si256(), odd = even;
    for (; length >= 32; from += 32, length -= 32) {
        const __m256i block = _mm256_loadu_si256((const __m256i *)from);
        if (to != NULL) {
            _mm256_storeu_si256((__m256i *)to, block);
            to += 32;
        }
        even = _mm256_add_epi64(even, _mm256_and_si256(block, low));
        odd = _mm256_add_epi64(odd, _mm256_srli_epi64(block, 32));
    }
    const __m256i all = _mm256_add_epi64(even, odd);
    sum = join(sum, (uint64_t)_mm256_extract_epi64(all, 0));
    sum = join(sum, (uint64_t)_mm256_extract_epi64(all, 1));
    sum = join(sum, (uint64_t)_mm256_extract_epi64(all, 2));
    sum = join(sum, (uint64_t)_mm256_extract_epi64(all, 3));
    if (to != NULL) {
        memmove(to, from, length);
        from = to;
    }
    return add_rest(sum, from, length);
}

// What is left behind whole blocks is one more, of which a mask hides the rest.
__attribute__((target("avx512f,avx512bw"))) static uint64_t
avx512(uint64_t sum, uint8_t *to, const uint8_t *from, uint32_t length) {
    const __m512i low = _mm512_set1_epi64(0xffffffff);
    __m512i even = _mm512_setzero_si512(), odd = even;
    for (; length >= 64; from += 64, length -= 64) {
        const __m512i block = _mm512_loadu_si512(from);
        if (to != NULL) {
            _mm512_storeu_si512(to, block);
            to += 64;
        }
        even = _mm512_add_epi64(even, _mm512_and_si512(block, low));
        odd = _mm512_add_epi64(odd, _mm512_srli_epi64(block, 32));
    }
    if (length > 0) {
        const __mmask64 mask = UINT64_MAX >> (64 - length);
        const __m512i block = _mm512_maskz_loadu_epi8(mask, from);
        if (to != NULL)
            _mm512_mask_storeu_epi8(to, mask, block);
        even = _mm512_add_epi64(even, _mm512_and_si512(block, low));
        odd = _mm512_add_epi64(odd, _mm512_srli_epi64(block, 32));
    }
    return join(sum, (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(even, odd)));
}

bool fp_checksum_has(enum fp_checksum_way way) {
    switch (way) {
    case FP_CHECKSUM_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    case FP_CHECKSUM_AVX2:
        return __builtin_cpu_supports("avx2");
    default:
        return true;
    }
}

uint64_t fp_checksum_by(enum fp_checksum_way way, uint64_t sum, uint8_t *to, const uint8_t *from,
                        uint32_t length) {
    switch (way) {
    case FP_CHECKSUM_AVX512:
        return avx512(sum, to, from, length);
    case FP_CHECKSUM_AVX2:
        return avx2(sum, to, from, length);
    default:
        return portable(sum, to, from, length);
    }
}

#else

bool fp_checksum_has(enum fp_checksum_way way) {
    return way == FP_CHECKSUM_PORTABLE;
}

uint64_t fp_checksum_by(enum fp_checksum_way way, uint64_t sum, uint8_t *to, const uint8_t *from,
                        uint32_t length) {
    (void)way;
    return portable(sum, to, from, length);
}

#endif

enum { WORTH_AVX512 = 16, WORTH_AVX2 = 64 }; // bytes from which wide registers pay

static enum fp_checksum_way best(uint32_t length) {
    if (length >= WORTH_AVX512 && fp_checksum_has(FP_CHECKSUM_AVX512))
        return FP_CHECKSUM_AVX512;
    if (length >= WORTH_AVX2 && fp_checksum_has(FP_CHECKSUM_AVX2))
        return FP_CHECKSUM_AVX2;
    return FP_CHECKSUM_PORTABLE;
}

uint64_t fp_checksum_add(uint64_t sum, const uint8_t *data, uint32_t length) {
    return fp_checksum_by(best(length), sum, NULL, data, length);
}

uint64_t fp_checksum_move(uint64_t sum, uint8_t *to, const uint8_t *from, uint32_t length) {
    return fp_checksum_by(best(length), sum, to, from, length);
}

static uint64_t two_words(const uint8_t *at) {
    uint64_t both;
    memcpy(&both, at, sizeof both);
    return (both & UINT32_MAX) + (both >> 32);
}

uint64_t fp_checksum_pseudo(const uint8_t *ip, uint8_t version, uint8_t protocol, uint32_t length) {
    // Straight-line code without an array, which would have a stack protector: this runs for every TCP and
    // UDP packet that arrives.
    const uint64_t sum = (uint64_t)htonl(length) + htonl(protocol);
    if (version == 4)
        return sum + two_words(ip + FP_IPV4_SOURCE);
    ip += FP_IPV6_SOURCE;
    return sum + two_words(ip) + two_words(ip + 8) + two_words(ip + 16) + two_words(ip + 24);
}

void fp_checksum_replace(uint8_t *at, uint16_t before, uint16_t after) {
    uint16_t checksum;
    memcpy(&checksum, at, sizeof checksum);
    // RFC 1624 equation 3: HC' = ~(~HC + ~m + m')
    const uint64_t sum = (uint64_t)(uint16_t)~checksum + (uint16_t)~before + after;
    checksum = (uint16_t)~fp_checksum_fold(sum);
    memcpy(at, &checksum, sizeof checksum);
}
