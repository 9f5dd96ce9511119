# SPDX-License-Identifier: Apache-2.0
"""An engine that is fed from a capture file."""
