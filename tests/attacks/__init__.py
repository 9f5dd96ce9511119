# SPDX-License-Identifier: Apache-2.0
"""Small programs that attack a host as a container or a neighbour would (SECURITY.md). Tests call their functions; run
them by hand only where all that they reach is yours: python -m tests.attacks.NAME.
`python -m tests.attacks` lists them."""
