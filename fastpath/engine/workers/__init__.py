# SPDX-License-Identifier: Apache-2.0
"""The threads that move frames, and their sockets."""
