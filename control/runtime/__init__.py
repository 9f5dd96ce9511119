# SPDX-License-Identifier: Apache-2.0
"""Configuration, logs, signals, directories: what a process of ours needs."""
