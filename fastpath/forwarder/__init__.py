# SPDX-License-Identifier: Apache-2.0
"""Forwarders: they decide where frames go."""
