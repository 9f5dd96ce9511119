# SPDX-License-Identifier: Apache-2.0
"""`python -m fastpath`"""

from fastpath.control.entry import main

main(prog_name="fastpath")
