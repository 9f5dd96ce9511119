# SPDX-License-Identifier: Apache-2.0
"""The guard: who may exchange packets with this host's VTEP, and who reaches the store."""
