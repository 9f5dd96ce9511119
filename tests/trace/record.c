// SPDX-License-Identifier: Apache-2.0
// Keeps which functions of code compiled with -finstrument-functions are entered. It is preloaded, since
// the C library has a function of the same name that does nothing.
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { MOST = 1 << 16 };
static void *entered[MOST];
static atomic_uint count;
static atomic_bool on;

void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);
void record_start(void);
int record_write(const char *path);

void __cyg_profile_func_enter(void *function, void *caller) {
    (void)caller;
    if (!atomic_load(&on))
        return;
    const unsigned place = atomic_fetch_add(&count, 1);
    if (place < MOST)
        entered[place] = function;
}

void __cyg_profile_func_exit(void *function, void *caller) {
    (void)function;
    (void)caller;
}

void record_start(void) {
    atomic_store(&count, 0);
    atomic_store(&on, true);
}

// Stop, and write a line for each function: its file, and its place there. Return how many there are.
int record_write(const char *path) {
    atomic_store(&on, false);
    const unsigned total = atomic_load(&count);
    FILE *file = fopen(path, "w");
    if (file == NULL || total > MOST)
        return -1;
    for (unsigned i = 0; i < total; i++) {
        Dl_info about;
        if (dladdr(entered[i], &about) != 0)
            fprintf(file, "%s %#tx\n", about.dli_fname,
                    (uint8_t *)entered[i] - (uint8_t *)about.dli_fbase);
    }
    return fclose(file) == 0 ? (int)total : -1;
}
