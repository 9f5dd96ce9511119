# SPDX-License-Identifier: Apache-2.0
"""What the example forwarders cost per frame, without I/O (./run bench forwarders)."""
