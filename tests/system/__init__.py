# SPDX-License-Identifier: Apache-2.0
"""Tests with real servers, on loopback and without privilege."""
