# SPDX-License-Identifier: Apache-2.0
"""What all hosts agree on."""
