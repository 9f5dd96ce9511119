// SPDX-License-Identifier: Apache-2.0
#include "io/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "packet/offload.h"
#include "packet/wire.h"

#ifndef TUN_F_USO4
enum { TUN_F_USO4 = 0x20, TUN_F_USO6 = 0x40 }; // Linux 6.2
#endif

static int set_offloads(int fd, bool tcp, bool udp) {
    unsigned long offloads = TUN_F_CSUM;
    if (tcp)
        offloads |= TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (udp && ioctl(fd, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) == 0)
        return 0;
    return ioctl(fd, TUNSETOFFLOAD, offloads);
}

int fp_tap_setup(int fd, bool tcp, bool udp) {
    const int vnet_size = FP_VNET_SIZE;
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &vnet_size) < 0 ||
        set_offloads(fd, tcp, udp) < 0)
        return -errno;
    return 0;
}

int fp_tap_name(int fd, char *name) {
    struct ifreq request = {0};
    if (ioctl(fd, TUNGETIFF, &request) < 0)
        return -errno;
    memcpy(name, request.ifr_name, IFNAMSIZ);
    return 0;
}

int fp_tap_mac(int fd, uint64_t *mac) {
    struct ifreq request = {0};
    if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        return -errno;
    *mac = fp_load_mac((const uint8_t *)request.ifr_hwaddr.sa_data);
    return 0;
}

uint32_t fp_tap_read(int fd, struct fp_frame *frames, uint32_t room, uint8_t *memory, uint32_t size,
                     int *error) {
    *error = 0;
    uint32_t used = 0;
    for (uint32_t i = 0; i < room; i++) {
        struct fp_frame *frame = &frames[i];
        if (size - used < FP_TAP_ROOM)
            return i;
        uint8_t *header = memory + used + FP_HEADROOM - FP_VNET_SIZE;
        const ssize_t got = read(fd, header, FP_VNET_SIZE + FP_FRAME_SIZE);
        if (got <= 0) {
            if (got < 0 && errno == EINTR)
                return i;
            if (got == 0 || errno != EAGAIN)
                *error = got == 0 ? EPIPE : errno;
            return i;
        }
        frame->data = header + FP_VNET_SIZE;
        if (got < FP_VNET_SIZE) {
            frame->length = 0; // a memory port's user may write anything
            continue;
        }
        frame->length = (uint32_t)got - FP_VNET_SIZE;
        used += (FP_HEADROOM + frame->length + 63) & ~63U;
        fp_vnet_read(header, frame);
        fp_flow_parse(frame->data, frame->length, &frame->flow);
    }
    return room;
}

int fp_tap_write(int fd, const struct fp_frame *frame, uint32_t mtu) {
    uint8_t header[FP_VNET_SIZE];
    const int super_frame = fp_vnet_write(header, frame, mtu);
    const struct iovec parts[2] = {{header, sizeof header}, {frame->data, frame->length}};
    return writev(fd, parts, 2) < 0 ? -errno : super_frame;
}
