# SPDX-License-Identifier: Apache-2.0
"""python -m fastpath.bench.replay"""

from fastpath.bench.replay.command import replay

replay(prog_name="./run bench replay")
