# SPDX-License-Identifier: Apache-2.0
"""The hosts of tests/netns, here."""

from tests.netns.conftest import two

__all__ = ["two"]
