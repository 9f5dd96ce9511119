# SPDX-License-Identifier: Apache-2.0
"""Words that stand for a choice: the commands offer them without loading the models."""

from typing import Literal

Driver = Literal["overlay", "macvlan"]
Layout = Literal["direct", "bridge"]
