// SPDX-License-Identifier: Apache-2.0
// The forwarder of a segment with one port, as the kernel's vxlan device (drivers/net/vxlan/vxlan_core.c: vxlan_xmit,
// vxlan_set_mac).
//
// It learns where addresses are from what remotes send, and looks up what the port sends: the FDB has nothing but
// remote addresses, and the port's own. What comes from a remote goes to the port, whatever its destination, since
// what is not at a remote is behind the port.
#ifndef FP_VXLAN_H
#define FP_VXLAN_H

#include <stdint.h>

#include "tables/tables.h"

// As struct fp_forwarder wants it; `self->state` is not used.
void fp_vxlan_forward(const struct fp_forwarder *self, const struct fp_context *context,
                      struct fp_frame *frames, uint32_t count);

#endif
