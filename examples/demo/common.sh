# SPDX-License-Identifier: Apache-2.0
# What the demos share: two hosts h1 and h2 joined by a cable, and two containers c1 and c2, unless `containers` is empty.
# All are network namespaces named fpdemo-…. They are removed at the end, whatever happens.
# shellcheck shell=bash

fastpath=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../../.venv/bin/fastpath")
scratch=/tmp/fpdemo
megabytes=${FASTPATH_DEMO_MEGABYTES:-256} # of the file that goes through the overlay
containers="c1 c2"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

on() { # on HOST COMMAND…: run it there
    local where=$1
    shift
    ip netns exec "fpdemo-$where" "$@"
}

# show HOST COMMAND…: show a command as a person on that host would type it, then run it there.
show() {
    local where=$1
    shift
    printf '\033[36m%s# %s\033[0m\n' "$where" "${*/#$fastpath/fastpath}"
    on "$where" "$@"
}

stop_all() { # stop_all SIGNAL: send it to every process in the namespaces
    local name pids
    for name in h1 h2 c1 c2; do
        pids=$(ip netns pids "fpdemo-$name" 2>/dev/null || true)
        # shellcheck disable=SC2086  # one word for each process
        [ -z "$pids" ] || kill "-$1" $pids 2>/dev/null || true
    done
}

await_ends() { # wait until nothing runs in the namespaces, but not for ever
    local name
    for name in h1 h2 c1 c2; do
        for _ in $(seq 100); do
            [ -n "$(ip netns pids "fpdemo-$name" 2>/dev/null)" ] || break
            sleep 0.02
        done
    done
}

# A demo that makes more overrides these: what to end before the processes on the hosts, and what to remove after them.
clean_first() { :; }
clean_last() { :; }

cleanup() {
    trap '' INT TERM HUP # a second Ctrl-C must not stop this
    local name
    clean_first
    stop_all TERM
    await_ends
    stop_all KILL
    await_ends # killed processes may still write to $scratch
    for name in c1 c2 h1 h2; do
        ip netns delete "fpdemo-$name" 2>/dev/null || true
    done
    for name in $(ip netns | awk '/^fastpath-fpdemo-/ { print $1 }'); do # of the daemons' networks
        ip netns delete "$name"
    done
    clean_last
    rm -rf "$scratch"
}

make_hosts() {
    local name
    for name in h1 h2 $containers; do
        ip netns add "fpdemo-$name"
        ip -n "fpdemo-$name" link set lo up
    done
    ip -n fpdemo-h1 link add u0 type veth peer name u0 netns fpdemo-h2
    ip -n fpdemo-h1 address add 192.0.2.1/24 dev u0
    ip -n fpdemo-h2 address add 192.0.2.2/24 dev u0
    ip -n fpdemo-h1 link set u0 up
    ip -n fpdemo-h2 link set u0 up
}

transfer() { # transfer ADDRESS: a file from c1 to c2, which has the address
    local start end sent received
    sent=$(sha256sum <"$scratch/file" | cut -d' ' -f1)
    on c2 timeout 60 nc -l "$1" 5000 >"$scratch/received" &
    local listener=$!
    until on c2 ss -Hltn 'sport = :5000' | grep -q .; do sleep 0.05; done
    start=$EPOCHREALTIME
    on c1 nc -N "$1" 5000 <"$scratch/file"
    wait $listener
    end=$EPOCHREALTIME
    received=$(sha256sum <"$scratch/received" | cut -d' ' -f1)
    awk -v s="$start" -v e="$end" -v m="$megabytes" \
        'BEGIN { printf "%d MiB in %.2f s: %.2f Gbit/s\n", m, e - s, m * 8 * 1.048576 / 1000 / (e - s) }'
    printf 'SHA-256 sent      %s\nSHA-256 received  %s\n' "$sent" "$received"
    [ "$sent" = "$received" ] || { echo "the file arrived damaged" >&2; exit 1; }
}

begin() {
    trap cleanup EXIT
    cleanup # remove what a run that crashed left
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    mkdir -p "$scratch"
    make_hosts
    head -c "${megabytes}M" /dev/urandom >"$scratch/file"
}
