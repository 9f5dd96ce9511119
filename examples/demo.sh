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
# Hosts and containers are network namespaces named fpdemo-…; all is removed at the end, whatever happens.
set -euo pipefail

fastpath=$(dirname "$(readlink -f "$0")")/../.venv/bin/fastpath
scratch=/tmp/fpdemo
megabytes=256

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# show HOST COMMAND…: show a command as a person on that host would type it, then run it there.
show() {
    local where=$1
    shift
    printf '\033[36m%s# %s\033[0m\n' "$where" "${*/#$fastpath/fastpath}"
    on "$where" "$@"
}

cleanup() {
    trap '' INT TERM HUP # a second Ctrl-C must not stop this
    local name pids
    for name in h1 h2 c1 c2; do
        pids=$(ip netns pids "fpdemo-$name" 2>/dev/null || true)
        # shellcheck disable=SC2086  # one word for each process
        [ -z "$pids" ] || kill $pids 2>/dev/null || true
    done
    for name in h1 h2 c1 c2; do
        for _ in $(seq 50); do
            [ -n "$(ip netns pids "fpdemo-$name" 2>/dev/null)" ] || break
            sleep 0.02
        done
        ip netns delete "fpdemo-$name" 2>/dev/null || true
    done
    rm -rf "$scratch"
}

make_hosts() {
    local name
    for name in h1 h2 c1 c2; do
        ip netns add "fpdemo-$name"
        ip -n "fpdemo-$name" link set lo up
    done
    ip -n fpdemo-h1 link add u0 type veth peer name u0 netns fpdemo-h2
    ip -n fpdemo-h1 address add 192.0.2.1/24 dev u0
    ip -n fpdemo-h2 address add 192.0.2.2/24 dev u0
    ip -n fpdemo-h1 link set u0 up
    ip -n fpdemo-h2 link set u0 up
}

on() { # on HOST COMMAND…: run it there
    local where=$1
    shift
    ip netns exec "fpdemo-$where" "$@"
}

give_address() { # give_address CONTAINER ADDRESS
    ip -n "fpdemo-$1" address add "$2" dev vx0
    ip -n "fpdemo-$1" link set vx0 mtu 1450 up
}

transfer() {
    local start end sent received
    sent=$(sha256sum <"$scratch/file" | cut -d' ' -f1)
    on c2 timeout 60 nc -l 10.9.0.2 5000 >"$scratch/received" &
    local listener=$!
    until on c2 ss -Hltn 'sport = :5000' | grep -q .; do sleep 0.05; done
    start=$EPOCHREALTIME
    on c1 nc -N 10.9.0.2 5000 <"$scratch/file"
    wait $listener
    end=$EPOCHREALTIME
    received=$(sha256sum <"$scratch/received" | cut -d' ' -f1)
    awk -v s="$start" -v e="$end" -v m="$megabytes" \
        'BEGIN { printf "%d MiB in %.2f s: %.2f Gbit/s\n", m, e - s, m * 8 * 1.048576 / 1000 / (e - s) }'
    printf 'SHA-256 sent      %s\nSHA-256 received  %s\n' "$sent" "$received"
    [ "$sent" = "$received" ] || { echo "the file arrived damaged" >&2; exit 1; }
}

trap cleanup EXIT
cleanup # what a run that crashed may have left
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir -p "$scratch"
make_hosts
head -c "${megabytes}M" /dev/urandom >"$scratch/file"

say "1. A fastpath device on each host; its interface goes straight into the container"
show h1 "$fastpath" vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 netns fpdemo-c1 -d
show h2 "$fastpath" vxlan add vx0 id 42 local 192.0.2.2 remote 192.0.2.1 netns fpdemo-c2 -d
give_address c1 10.9.0.1/24
give_address c2 10.9.0.2/24
show h1 "$fastpath" vxlan show

say "2. The containers see each other as if they were on one switch"
show c1 ping -c 3 -i 0.2 10.9.0.2

say "3. A file through the overlay"
transfer

say "4. What h1 learned: which address is behind which host (the words are those of \`bridge fdb\`)"
show h1 "$fastpath" fdb show dev vx0

say "5. What h1 counted; nothing is dropped without a reason that has a name"
show h1 "$fastpath" stats vx0

say "6. The same with the kernel's own vxlan device on h2: fastpath speaks to it like to itself"
show h2 "$fastpath" vxlan del vx0
show h2 ip link add vx0 type vxlan id 42 local 192.0.2.2 remote 192.0.2.1 dstport 4789
show h2 ip link set vx0 netns fpdemo-c2
give_address c2 10.9.0.2/24
ip -n fpdemo-c1 neighbour flush dev vx0 # the new device has another MAC address
show c1 ping -c 3 -i 0.2 10.9.0.2
transfer
show h1 "$fastpath" fdb show dev vx0

say "Done; everything is removed again."
