# SPDX-License-Identifier: Apache-2.0
"""Real servers: etcd, dockerd, another kernel."""
