# SPDX-License-Identifier: Apache-2.0
"""Which functions are entered, in order, for a frame, a command or a Docker call; ARCHITECTURE.md lists them."""
