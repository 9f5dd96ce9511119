# SPDX-License-Identifier: Apache-2.0
"""What is measured: load between two containers and what it costs, and what an overlay costs without load."""
