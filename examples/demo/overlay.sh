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

etcd_start() {
    on h1 etcd --data-dir "$scratch/etcd" --listen-client-urls http://192.0.2.1:2379 \
        --advertise-client-urls http://192.0.2.1:2379 --listen-peer-urls http://192.0.2.1:2380 \
        --initial-advertise-peer-urls http://192.0.2.1:2380 --initial-cluster default=http://192.0.2.1:2380 \
        --logger zap --log-level error >>"$scratch/etcd.log" 2>&1 &
    etcd_pid=$!
}

daemon_start() { # daemon_start HOST: as a service would
    local options=(--host "$1" --vtep u0 --store "$url" --socket "$scratch/$1.sock" --state-dir "$scratch/$1")
    printf '\033[36m%s# fastpath daemon %s &\033[0m\n' "$1" "${options[*]}"
    on "$1" "$fastpath" daemon "${options[@]}" >>"$scratch/$1.log" 2>&1 &
    daemon_pid=$!
    for _ in $(seq 200); do
        if FASTPATH_SOCKET=$scratch/$1.sock "$fastpath" status >/dev/null 2>&1; then return; fi
        kill -0 $daemon_pid 2>/dev/null || break
        sleep 0.1
    done
    cat "$scratch/$1.log" >&2
    echo "the daemon on $1 did not become healthy" >&2
    exit 1
}

fast() { # fast HOST WORDS…: fastpath WORDS… on that host, whose daemon has a socket of its own here
    FASTPATH_SOCKET=$scratch/$1.sock show "$1" "$fastpath" "${@:2}"
}

begin
if [ $kind = etcd ]; then
    say "0. etcd, on h1"
    etcd_start
fi

say "1. A daemon on each host"
daemon_start h1
h1_pid=$daemon_pid
daemon_start h2

say "2. A network, made on one host and known on both"
fast h1 network create web --subnet 10.9.0.0/24
fast h2 network ls

say "3. A container on each host joins it; addresses come from the network"
fast h1 endpoint create web --sandbox fpdemo-c1
fast h2 endpoint create web --sandbox fpdemo-c2

say "4. The containers see each other as if they were on one switch"
show c1 ping -c 3 -i 0.2 10.9.0.3

say "5. A file through the overlay"
transfer 10.9.0.3

say "6. Nothing was flooded: both hosts know who is where, and answer ARP themselves"
fast h1 fdb show network web
fast h1 status

if [ $kind = etcd ]; then
    say "7. etcd is stopped; the containers do not notice"
    kill -9 $etcd_pid
    show c1 ping -c 20 -i 0.1 -q 10.9.0.3
    etcd_start
else
    say "7. The store's file may be away, too; what a daemon knows stays"
fi

say "8. The daemon of h1 is killed and comes back: the interface stayed, and it goes on"
kill -9 "$(pgrep -P $h1_pid 2>/dev/null || echo $h1_pid)" 2>/dev/null || kill -9 $h1_pid
daemon_start h1
show c1 ping -c 3 -i 0.2 10.9.0.3

say "9. What is made can be removed"
fast h1 network rm web || true
for host in h1 h2; do
    for id in $(FASTPATH_SOCKET=$scratch/$host.sock on $host "$fastpath" endpoint ls --json | tr ',{' '\n\n' |
        sed -n 's/.*"id": "\([0-9a-f]*\)".*/\1/p'); do
        :
    done
done

say "Done; everything is removed again."
