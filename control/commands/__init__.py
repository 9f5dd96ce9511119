# SPDX-License-Identifier: Apache-2.0
"""What people type to the daemon: a file for each noun. cli.py puts them together."""
