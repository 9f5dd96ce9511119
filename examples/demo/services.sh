# SPDX-License-Identifier: Apache-2.0
# What the demos with daemons share: etcd on h1, a fastpath daemon on each host. `url` is their store.
# shellcheck shell=bash disable=SC2034,SC2154  # common.sh and the demo set the rest and use etcd_pid

# nsenter starts the services. `ip netns exec` would give each a private view of the mounts, and so of the namespaces that
# have names.
etcd_start() {
    local here=http://192.0.2.1
    nsenter --net=/run/netns/fpdemo-h1 etcd --data-dir "$scratch/etcd" --listen-client-urls $here:2379 --advertise-client-urls $here:2379 \
        --listen-peer-urls $here:2380 --initial-advertise-peer-urls $here:2380 --initial-cluster default=$here:2380 \
        --logger zap --log-level error >>"$scratch/etcd.log" 2>&1 &
    etcd_pid=$!
}

healthy() { FASTPATH_SOCKET=$scratch/$1.sock "$fastpath" status >/dev/null 2>&1; }

daemon_start() { # daemon_start HOST OPTIONS…: start a daemon and wait until it is healthy
    local options=(--host "fpdemo-$1" --vtep u0 --store "$url" --socket "$scratch/$1.sock" --state-dir "$scratch/$1" "${@:2}")
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

fast() { # fast HOST WORDS…: run fastpath WORDS… on that host; on one machine each daemon needs a socket of its own
    FASTPATH_SOCKET=$scratch/$1.sock show "$1" "$fastpath" "${@:2}"
}

killed() { # killed PID: kill it at once, without a message of bash
    printf '\033[36mh1# kill -9 %s\033[0m\n' "$1"
    kill -9 "$1"
    wait "$1" 2>/dev/null || true
}

number=0
step() {
    number=$((number + 1))
    say "$number. $*"
}
