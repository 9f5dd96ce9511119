# SPDX-License-Identifier: Apache-2.0
"""The way out of containers: a bridge that trusts none of them (docs/operators/overlay.md)."""
