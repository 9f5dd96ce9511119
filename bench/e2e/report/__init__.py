# SPDX-License-Identifier: Apache-2.0
"""How results are shown: rows in words, on the terminal, as a picture and as a page."""
