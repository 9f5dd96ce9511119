# SPDX-License-Identifier: Apache-2.0
"""How fast a capture goes through the engine, and how much memory that takes (./run bench replay)."""
