# SPDX-License-Identifier: Apache-2.0
"""The columns of a burst: struct fp_record of src/packet/record.h, as a numpy type."""

import numpy as np

# Numbers in host byte order; what a frame does not have is 0.
RECORD = np.dtype(
    [
        ("src_mac", np.uint64),
        ("dst_mac", np.uint64),
        ("src_ip6", np.uint64, (2,)),
        ("dst_ip6", np.uint64, (2,)),
        ("src_ip", np.uint32),
        ("dst_ip", np.uint32),
        ("port", np.uint32),
        ("out", np.uint32),
        ("vni", np.uint32),
        ("length", np.uint32),
        ("segments", np.uint32),
        ("flow_hash", np.uint32),
        ("ethertype", np.uint16),
        ("vlan", np.uint16),
        ("src_port", np.uint16),
        ("dst_port", np.uint16),
        ("ip_version", np.uint8),
        ("protocol", np.uint8),
        ("tos", np.uint8),
        ("ttl", np.uint8),
        ("fragment", np.uint8),
        ("unused", np.uint8, (3,)),
    ]
)

COLUMNS = tuple(name for name in RECORD.names or () if name != "unused")
