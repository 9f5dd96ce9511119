# SPDX-License-Identifier: Apache-2.0
"""Where the state that hosts share is kept."""
