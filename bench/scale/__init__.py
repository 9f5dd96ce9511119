# SPDX-License-Identifier: Apache-2.0
"""The control plane with many networks and endpoints, and the interruption by a restart (docs/benchmarks/scale.md)."""
