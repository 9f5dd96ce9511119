# SPDX-License-Identifier: Apache-2.0
"""Capture files: reading, writing, filters."""
