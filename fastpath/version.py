# SPDX-License-Identifier: Apache-2.0
"""The version."""

VERSION = "0.2.0"
