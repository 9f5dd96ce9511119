# SPDX-License-Identifier: Apache-2.0
"""The name that fastpath.forwarder.match had in version 0.1: forwarders of its users import it."""

from fastpath.forwarder.match import *  # noqa: F403
