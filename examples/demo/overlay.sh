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

# Services are started by nsenter, not by `ip netns exec`, which would give each a view of its own of the mounts, and with
# it of the namespaces that have names.
etcd_start() {
    local here=http://192.0.2.1
    nsenter --net=/run/netns/fpdemo-h1 etcd --data-dir "$scratch/etcd" --listen-client-urls $here:2379 --advertise-client-urls $here:2379 \
        --listen-peer-urls $here:2380 --initial-advertise-peer-urls $here:2380 --initial-cluster default=$here:2380 \
        --logger zap --log-level error >>"$scratch/etcd.log" 2>&1 &
    etcd_pid=$!
}

healthy() { FASTPATH_SOCKET=$scratch/$1.sock "$fastpath" status >/dev/null 2>&1; }

daemon_start() { # daemon_start HOST: as a service would
    local options=(--host "fpdemo-$1" --vtep u0 --store "$url" --socket "$scratch/$1.sock" --state-dir "$scratch/$1")
    printf '\033[36m%s# fastpath daemon %s &\033[0m\n' "$1" "${options[*]}"
    nsenter --net="/run/netns/fpdemo-$1" "$fastpath" daemon "${options[@]}" >>"$scratch/$1.log" 2>&1 &
    daemon_pid=$!
    for _ in $(seq 200); do
        if healthy "$1"; then return; fi
        kill -0 $daemon_pid 2>/dev/null || break
        sleep 0.1
    done
    cat "$scratch/$1.log" >&2
    echo "the daemon on $1 did not become healthy" >&2
    exit 1
}

fast() { # fast HOST WORDS…: fastpath WORDS… on that host; on one machine each daemon needs a socket of its own
    FASTPATH_SOCKET=$scratch/$1.sock show "$1" "$fastpath" "${@:2}"
}

killed() { # killed PID: at once, and without bash telling of it
    printf '\033[36mh1# kill -9 %s\033[0m\n' "$1"
    kill -9 "$1"
    wait "$1" 2>/dev/null || true
}

number=0
step() {
    number=$((number + 1))
    say "$number. $*"
}

begin
if [ $kind = etcd ]; then
    step "etcd, on h1"
    etcd_start
fi

step "A daemon on each host"
daemon_start h1
h1_pid=$daemon_pid
daemon_start h2

step "A network, made on one host and known on both"
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

step "Each host knows who is where, and answers ARP itself: nothing is flooded for a known address"
fast h1 fdb show network web
fast h1 peers
fast h1 status

step "The daemon of h1 is killed, in the middle of a ping, and comes back: the containers' interfaces stay"
on c1 ping -c 200 -i 0.02 -q 10.9.0.3 &
ping_pid=$!
sleep 0.5
killed "$h1_pid"
daemon_start h1
wait $ping_pid

if [ $kind = etcd ]; then
    step "etcd is killed: what is known stays known, and the containers don't notice"
    killed "$etcd_pid"
    show c1 ping -c 100 -i 0.02 -q 10.9.0.3
    fast h1 status || true
    etcd_start
    until healthy h1 && healthy h2; do sleep 0.1; done
fi

step "What is in use is not removed; what is not, is"
fast h1 network rm web || true
for host in h1 h2; do
    # One socket for both hosts would do as well: endpoints of all are listed everywhere, and removed where they are.
    id=$(FASTPATH_SOCKET=$scratch/$host.sock "$fastpath" endpoint ls --json |
        python3 -c "import json, sys; print(*(e['id'] for e in json.load(sys.stdin) if e['host'] == 'fpdemo-$host'))")
    fast $host endpoint rm "$id"
done
fast h1 network rm web
show c1 ip -brief link

say "Done; everything is removed again."
