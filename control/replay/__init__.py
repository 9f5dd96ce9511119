# SPDX-License-Identifier: Apache-2.0
"""`fastpath replay`: a capture through the engine, without network and without root (docs/replay.md)."""
