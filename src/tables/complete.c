// SPDX-License-Identifier: Apache-2.0
#include "tables/complete.h"

#include <stdlib.h>
#include <string.h>

struct fp_complete *fp_complete_new(uint32_t subnets, uint32_t exceptions) {
    struct fp_complete *complete = calloc(1, sizeof *complete + subnets * sizeof(struct fp_subnet) +
                                                 exceptions * sizeof complete->exception[0]);
    if (complete == NULL)
        return NULL;
    complete->subnets = subnets;
    complete->exceptions = exceptions;
    complete->subnet = (struct fp_subnet *)(complete + 1);
    complete->exception = (uint8_t (*)[16])(complete->subnet + subnets);
    return complete;
}

static bool contains(const struct fp_subnet *subnet, const uint8_t *ip) {
    const uint32_t whole = subnet->bits / 8, rest = subnet->bits % 8;
    if (memcmp(subnet->ip, ip, whole) != 0)
        return false;
    return rest == 0 || (subnet->ip[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

static bool is_exception(const struct fp_complete *complete, const uint8_t *ip) {
    uint32_t low = 0, high = complete->exceptions;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = memcmp(complete->exception[middle], ip, 16);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool fp_complete_is_nobodys(const struct fp_complete *complete, const uint8_t *ip) {
    for (uint32_t i = 0; i < complete->subnets; i++)
        if (contains(&complete->subnet[i], ip))
            return !is_exception(complete, ip);
    return false;
}
