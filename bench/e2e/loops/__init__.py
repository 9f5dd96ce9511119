# SPDX-License-Identifier: Apache-2.0
"""The loops in C: the load, and the overlay that does nothing."""
