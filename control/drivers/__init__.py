# SPDX-License-Identifier: Apache-2.0
"""Drivers: the interfaces and namespaces of networks and endpoints on this host."""
