# SPDX-License-Identifier: Apache-2.0
"""A forwarder for fastpath, written in Cython."""
