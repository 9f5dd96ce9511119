# SPDX-License-Identifier: Apache-2.0
"""The stores for the state that hosts share."""
