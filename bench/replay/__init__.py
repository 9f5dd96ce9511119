# SPDX-License-Identifier: Apache-2.0
"""How fast the engine replays a capture, and how much memory that takes (./run bench replay)."""
