# SPDX-License-Identifier: Apache-2.0
"""Segments, ports, remotes, and the threads that move frames between them."""
