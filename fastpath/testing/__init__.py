# SPDX-License-Identifier: Apache-2.0
"""Single steps of the data path, for tests and benchmarks."""
