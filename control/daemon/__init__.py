# SPDX-License-Identifier: Apache-2.0
"""`fastpath daemon`: builds the services and owns their order."""
