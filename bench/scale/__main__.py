# SPDX-License-Identifier: Apache-2.0
"""python -m fastpath.bench.scale"""

from fastpath.bench.scale.command import scale

scale(prog_name="./run bench scale")
