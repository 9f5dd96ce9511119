# SPDX-License-Identifier: Apache-2.0
"""The macvlan driver: networks in an existing LAN."""
