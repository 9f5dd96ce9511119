# SPDX-License-Identifier: Apache-2.0
"""The data model that all layers share."""
