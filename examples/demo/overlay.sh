#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two hosts on this machine, a daemon on each, one store, a network, and a container on each host.
#
#     container c1                                          container c2
#   ┌──────────────┐                                      ┌──────────────┐
#   │ eth0 10.9.0.2│                                      │ eth0 10.9.0.3│
#   └──────┬───────┘                                      └──────┬───────┘
#     host h1                                               host h2
#   ┌──────┴───────┐        UDP 4789, VNI 256             ┌──────┴───────┐
#   │fastpath daemon ═══════════════════════════════════  │fastpath daemon
#   │ u0 192.0.2.1 ├──────────────────────────────────────┤ 192.0.2.2 u0 │
#   └──────┬───────┘              veth                    └───────┬──────┘
#          └───────────────  store: SQLite or etcd  ──────────────┘
#
# usage: overlay.sh [--store sqlite|etcd]
set -euo pipefail
# shellcheck source=examples/demo/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
# shellcheck source=examples/demo/services.sh
. "$(dirname "$(readlink -f "$0")")/services.sh"

kind=sqlite
[ $# -eq 0 ] || { [ "$1" = --store ] && kind=${2:-}; }
case $kind in
sqlite) url=sqlite://$scratch/store.db ;;
etcd) url=etcd://192.0.2.1:2379 ;;
*)
    echo "usage: $0 [--store sqlite|etcd]" >&2
    exit 2
    ;;
esac

begin
if [ "$kind" = etcd ]; then
    step "etcd, on h1"
    etcd_start
fi

step "A daemon on each host"
daemon_start h1
h1_pid=$daemon_pid
daemon_start h2

step "A network: created on one host, known on both"
fast h1 network create web --subnet 10.9.0.0/24
fast h2 network ls

step "A container on each host joins it, and gets an address"
fast h1 endpoint create web --sandbox fpdemo-c1
fast h2 endpoint create web --sandbox fpdemo-c2
fast h1 endpoint ls web

step "The containers see each other as if they were on one switch"
show c1 ping -c 3 -i 0.2 10.9.0.3

step "A file through the overlay"
transfer 10.9.0.3

step "Each host knows where every address is and answers ARP itself: nothing is flooded for a known address"
fast h1 fdb show network web
fast h1 peers
fast h1 status

step "The daemon of h1 is killed during a ping and starts again: the containers' interfaces stay"
on c1 ping -c 200 -i 0.02 -q 10.9.0.3 &
ping_pid=$!
sleep 0.5
killed "$h1_pid"
daemon_start h1
wait $ping_pid

if [ "$kind" = etcd ]; then
    step "etcd is killed: the hosts keep what they know, and the containers do not notice"
    killed "$etcd_pid"
    show c1 ping -c 100 -i 0.02 -q 10.9.0.3
    fast h1 status || true
    etcd_start
    until healthy h1 && healthy h2; do sleep 0.1; done
fi

step "A network with endpoints cannot be removed; without them it can"
fast h1 network rm web || true
for host in h1 h2; do
    # Every host lists the endpoints of all hosts. An endpoint is removed on its own host.
    id=$(FASTPATH_SOCKET=$scratch/$host.sock "$fastpath" endpoint ls --json |
        python3 -c "import json, sys; print(*(e['id'] for e in json.load(sys.stdin) if e['host'] == 'fpdemo-$host'))")
    fast $host endpoint rm "$id"
done
fast h1 network rm web
show c1 ip -brief link

say "Done; everything is removed again."
