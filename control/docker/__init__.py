# SPDX-License-Identifier: Apache-2.0
"""Docker's network and IPAM plugin (docs/operators/docker.md)."""
