# SPDX-License-Identifier: Apache-2.0
"""Hosts without a data plane, stand-ins, and contract checks."""
