# SPDX-License-Identifier: Apache-2.0
"""The name that fastpath.forwarder.record had in version 0.1: forwarders of its users import it."""

from fastpath.forwarder.record import *  # noqa: F403
