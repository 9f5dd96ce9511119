# SPDX-License-Identifier: Apache-2.0
"""Where it is measured: two hosts with a container each, and the overlays that are laid over them."""
