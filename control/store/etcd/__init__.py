# SPDX-License-Identifier: Apache-2.0
"""The store in etcd v3."""
