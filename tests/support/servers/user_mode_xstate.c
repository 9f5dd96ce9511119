// SPDX-License-Identifier: Apache-2.0
// ptrace(2) for user-mode Linux on a processor whose registers are more than it knows (AMX's tiles alone are 8 KB).
//
// It keeps what AVX-512 needs and the protection keys, 2,696 bytes of XSAVE (arch/x86/um/user-offsets.c), and sets just
// these. A kernel takes nothing but the whole area (EFAULT, xstateregs_set in arch/x86/kernel/fpu/regset.c), on which
// its pid 1 dies. Here the rest of the area is what the process has, which is nothing: no program asks for tiles.
// The area is static since a stack there has little room; only one thread of it runs at a time.

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char area[1 << 16];

static long set_xstate(long pid, const struct iovec *given) {
    struct iovec whole = {area, sizeof area};

    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) < 0)
        return -1;
    if (given->iov_len >= whole.iov_len)
        return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, given);
    memcpy(area, given->iov_base, given->iov_len);
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

long ptrace(enum __ptrace_request request, ...) {
    long pid, address, data, word = 0;
    va_list list;

    va_start(list, request);
    pid = va_arg(list, long);
    address = va_arg(list, long);
    data = va_arg(list, long);
    va_end(list);
    if (request == PTRACE_SETREGSET && address == NT_X86_XSTATE)
        return set_xstate(pid, (const struct iovec *)data);
    if (request != PTRACE_PEEKTEXT && request != PTRACE_PEEKDATA && request != PTRACE_PEEKUSER)
        return syscall(SYS_ptrace, request, pid, address, data);
    // The kernel stores the word, which the library's function returns.
    if (syscall(SYS_ptrace, request, pid, address, &word) < 0)
        return -1;
    errno = 0;
    return word;
}
