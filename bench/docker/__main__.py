# SPDX-License-Identifier: Apache-2.0
"""python -m fastpath.bench.docker"""

from fastpath.bench.docker.command import docker

docker(prog_name="./run bench docker")
