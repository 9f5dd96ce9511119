# SPDX-License-Identifier: Apache-2.0
"""What several benchmarks need: results files, tables in documents, the machine, hosts made of network namespaces."""
