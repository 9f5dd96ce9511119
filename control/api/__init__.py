# SPDX-License-Identifier: Apache-2.0
"""The daemon's HTTP interface: routes, operations, queries, metrics, and its client."""
