# SPDX-License-Identifier: Apache-2.0
"""Networks of our own: segments, TAPs, the gateway bridge."""
