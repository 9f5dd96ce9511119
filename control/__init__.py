# SPDX-License-Identifier: Apache-2.0
"""The control plane: configuration, devices, and the commands that people type."""
