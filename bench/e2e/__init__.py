# SPDX-License-Identifier: Apache-2.0
"""End-to-end benchmarks: two hosts, two containers, real traffic, side by side with other overlays."""
