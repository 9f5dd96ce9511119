# SPDX-License-Identifier: Apache-2.0
"""Tests with daemons and real servers: etcd, dockerd. Most need root."""
