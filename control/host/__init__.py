# SPDX-License-Identifier: Apache-2.0
"""The host's side: bring this host into the state that the store describes."""
