# SPDX-License-Identifier: Apache-2.0
"""python -m fastpath.bench.forwarders"""

from fastpath.bench.forwarders.command import forwarders

forwarders(prog_name="./run bench forwarders")
