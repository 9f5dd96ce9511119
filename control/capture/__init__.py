# SPDX-License-Identifier: Apache-2.0
"""Captures from a running engine, over its control socket, to a file or a terminal."""
