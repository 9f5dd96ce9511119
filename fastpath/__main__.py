# SPDX-License-Identifier: Apache-2.0
"""`python -m fastpath`"""

from fastpath.control.cli.__main__ import main

main(prog_name="fastpath")
