# SPDX-License-Identifier: Apache-2.0
"""The syntax of `ip link`, `bridge fdb` and forwarders, from words to checked values."""
