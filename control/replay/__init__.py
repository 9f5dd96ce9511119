# SPDX-License-Identifier: Apache-2.0
"""`fastpath replay`: run a capture through the engine, without network and without root (docs/forwarding/replay.md)."""
