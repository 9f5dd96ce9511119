# SPDX-License-Identifier: Apache-2.0
"""The packet path and forwarders in the workers, without I/O (./run bench micro)."""
