# SPDX-License-Identifier: Apache-2.0
"""Frames, twins and an engine on loopback."""
