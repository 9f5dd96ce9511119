# SPDX-License-Identifier: Apache-2.0
"""Captures: copies of frames that pass, for inspection."""
