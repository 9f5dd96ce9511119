// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "offload.h"
#include "wire.h"

int fp_tap_setup(int fd) {
    const int vnet_size = FP_VNET_SIZE;
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &vnet_size) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, (unsigned long)TUN_F_CSUM) < 0)
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

uint32_t fp_tap_read(int fd, struct fp_frame *frames, uint32_t room, int *error) {
    *error = 0;
    for (uint32_t i = 0; i < room; i++) {
        struct fp_frame *frame = &frames[i];
        uint8_t *header = frame->data - FP_VNET_SIZE;
        const ssize_t size = read(fd, header, FP_VNET_SIZE + FP_FRAME_SIZE);
        if (size <= 0) {
            if (size < 0 && errno == EINTR)
                return i;
            if (size == 0 || errno != EAGAIN)
                *error = size == 0 ? EPIPE : errno;
            return i;
        }
        if (size < FP_VNET_SIZE) {
            frame->length = 0; // a memory port's user may write anything
            continue;
        }
        frame->length = (uint32_t)(size - FP_VNET_SIZE);
        fp_vnet_read(header, frame);
        fp_flow_parse(frame->data, frame->length, &frame->flow);
    }
    return room;
}

int fp_tap_write(int fd, struct fp_frame *frame, uint32_t mtu) {
    uint8_t *header = frame->data - FP_VNET_SIZE;
    const int super_frame = fp_vnet_write(header, frame, mtu);
    const ssize_t size = write(fd, header, FP_VNET_SIZE + frame->length);
    return size < 0 ? -errno : super_frame;
}
