# SPDX-License-Identifier: Apache-2.0
# What forwarders in Cython derive from: `from fastpath.forwarder cimport Forwarder`.
from fastpath.forwarder.forwarder cimport Forwarder
