#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two hosts on this machine, a container on each, and a fastpath device between them.
#
#     container c1                                          container c2
#   ┌──────────────┐                                      ┌──────────────┐
#   │ vx0 10.9.0.1 │                                      │ vx0 10.9.0.2 │
#   └──────┬───────┘                                      └──────┬───────┘
#     host h1                                               host h2
#   ┌──────┴───────┐        UDP 4789, VNI 42              ┌──────┴───────┐
#   │   fastpath   │ ═══════════════════════════════════  │   fastpath   │   then: the kernel's vxlan
#   │ u0 192.0.2.1 ├──────────────────────────────────────┤ 192.0.2.2 u0 │
#   └──────────────┘              veth                    └──────────────┘
#
set -euo pipefail
# shellcheck source=examples/demo/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"

give_address() { # give_address CONTAINER ADDRESS
    ip -n "fpdemo-$1" address add "$2" dev vx0
    ip -n "fpdemo-$1" link set vx0 mtu 1450 up
}

begin

say "1. A fastpath device on each host, with its interface in the container"
show h1 "$fastpath" vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 netns fpdemo-c1 -d
show h2 "$fastpath" vxlan add vx0 id 42 local 192.0.2.2 remote 192.0.2.1 netns fpdemo-c2 -d
give_address c1 10.9.0.1/24
give_address c2 10.9.0.2/24
show h1 "$fastpath" vxlan show

say "2. The containers see each other as if they were on one switch"
show c1 ping -c 3 -i 0.2 10.9.0.2

say "3. A file through the overlay"
transfer 10.9.0.2

say "4. What h1 learned: which address is behind which host (the syntax is that of \`bridge fdb\`)"
show h1 "$fastpath" fdb show dev vx0

say "5. What h1 counted: every drop has a named reason"
show h1 "$fastpath" stats vx0

say "6. The same with the kernel's own vxlan device on h2: both speak the same protocol"
show h2 "$fastpath" vxlan del vx0
show h2 ip link add vx0 type vxlan id 42 local 192.0.2.2 remote 192.0.2.1 dstport 4789
show h2 ip link set vx0 netns fpdemo-c2
give_address c2 10.9.0.2/24
ip -n fpdemo-c1 neighbour flush dev vx0 # the new device has another MAC address
show c1 ping -c 3 -i 0.2 10.9.0.2
transfer 10.9.0.2
show h1 "$fastpath" fdb show dev vx0

say "Done; everything is removed again."
