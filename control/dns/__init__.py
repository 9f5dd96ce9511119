# SPDX-License-Identifier: Apache-2.0
"""The resolvers of this host's networks: names of containers, wherever they are (docs/operators/names.md)."""
