# SPDX-License-Identifier: Apache-2.0
"""What the commands share: options, one-line errors, rendering, asking the daemon."""
