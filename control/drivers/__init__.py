# SPDX-License-Identifier: Apache-2.0
"""What networks and endpoints are made of."""
