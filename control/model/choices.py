# SPDX-License-Identifier: Apache-2.0
"""The values of options with a fixed set of values, apart from the models so that commands load quickly."""

from typing import Literal

Driver = Literal["overlay", "macvlan"]
Layout = Literal["direct", "bridge"]
Carried = Literal["off", "tcp"]
"""What the kernel path carries of a network (docs/kernel-path.md)."""
