# SPDX-License-Identifier: Apache-2.0
"""The control plane with many networks and endpoints, and the gap that a restart leaves (docs/scale.md)."""
