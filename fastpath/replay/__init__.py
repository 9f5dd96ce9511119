# SPDX-License-Identifier: Apache-2.0
"""An engine whose input is a capture file."""
