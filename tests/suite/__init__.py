# SPDX-License-Identifier: Apache-2.0
"""Everything that `./run test` does, in phases beside each other: what fails, what is flaky, where the time goes."""
