# SPDX-License-Identifier: Apache-2.0
"""What this host does about what the store says."""
