# SPDX-License-Identifier: Apache-2.0
"""Networks in a LAN that exists."""
