#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two Docker hosts on this machine, a dockerd and a fastpath daemon on each, one etcd: containers of both in one subnet.
#
#     container c1                                          container c2
#   ┌────────────────────────┐                            ┌────────────────────────┐
#   │ eth0 10.9.0.2   eth1 ──┼── docker_gwbridge, -p      │ eth0 10.9.0.3   eth1 ──┼── docker_gwbridge, -p
#   └──────┬─────────────────┘                            └──────┬─────────────────┘
#     host h1                                               host h2
#   ┌──────┴───────┐                                      ┌──────┴───────┐
#   │ dockerd      │        UDP 4789, VNI 256             │ dockerd      │
#   │fastpath daemon ═══════════════════════════════════  │fastpath daemon
#   │ u0 192.0.2.1 ├──────────────────────────────────────┤ 192.0.2.2 u0 │
#   └──────┬───────┘              veth                    └───────┬──────┘
#          └────────────────────── etcd ──────────────────────────┘
set -euo pipefail
# shellcheck source=examples/demo/common.sh
. "$(dirname "$(readlink -f "$0")")/common.sh"
# shellcheck source=examples/demo/services.sh
. "$(dirname "$(readlink -f "$0")")/services.sh"
containers=
url=etcd://192.0.2.1:2379

# Give a dockerd what a machine of its own has: its own mounts, except the names of sandboxes, which the fastpath daemon
# enters, and its own plugin folder in the place where dockerd looks.
# shellcheck disable=SC2016 # the variables are for the shell that runs this
as_a_machine='
for mount in $(awk "{ print \$5 }" /proc/self/mountinfo); do
    [ "$mount" = "$FOLDER/exec/netns" ] || mount --make-private "$mount" 2>/dev/null || :
done
mount --bind "$FOLDER/plugins" /run/docker/plugins
hostname "$HOST"
exec "$@"'

docker_start() { # docker_start HOST: a dockerd; don't wait
    local folder=$scratch/docker-$1
    mkdir -p "$folder/plugins" "$folder/exec/netns" /run/docker/plugins
    mount --bind "$folder/exec/netns" "$folder/exec/netns"
    mount --make-shared "$folder/exec/netns"
    printf '\033[36m%s# dockerd &\033[0m\n' "$1"
    FOLDER=$folder HOST=$1 nsenter --net="/run/netns/fpdemo-$1" unshare --uts --mount --propagation unchanged sh -c "$as_a_machine" sh \
        dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" --host "unix://$folder/sock" \
        --cgroup-parent "/fpdemo-$1" >"$folder/log" 2>&1 &
}

docker_ready() { # docker_ready HOST: wait until it answers, and load the image busybox, without a registry
    local folder=$scratch/docker-$1
    for _ in $(seq 600); do
        if quietly "$1" version; then break; fi
        sleep 0.1
    done
    tar -C "$scratch/image" -c . | docker -H "unix://$folder/sock" import - busybox >/dev/null ||
        { tail -n 20 "$folder/log" >&2; echo "the dockerd on $1 did not start" >&2; exit 1; }
}

image() { # make the image's files: busybox under all of its names, and a page for its web server
    mkdir -p "$scratch/image/bin" "$scratch/image/srv"
    cp /bin/busybox "$scratch/image/bin"
    for name in $(/bin/busybox --list); do
        [ "$name" = busybox ] || ln -s busybox "$scratch/image/bin/$name"
    done
    cp "$scratch/file" "$scratch/image/srv/file"
    echo "hello from a container" >"$scratch/image/srv/index.html"
}

quietly() { docker -H "unix://$scratch/docker-$1/sock" "${@:2}" >/dev/null 2>&1; }

dock() { # dock HOST WORDS…: run docker WORDS… on that host, and show it as it would be typed there
    local word shown=
    for word in "${@:2}"; do
        case $word in *' '*) shown+=" '$word'" ;; *) shown+=" $word" ;; esac
    done
    printf '\033[36m%s# docker%s\033[0m\n' "$1" "$shown"
    docker -H "unix://$scratch/docker-$1/sock" "${@:2}"
}

clean_first() {
    local host group pids
    for host in h1 h2; do
        for group in /sys/fs/cgroup/fpdemo-$host /sys/fs/cgroup/*/"fpdemo-$host"; do # version 2, and 1
            [ -d "$group" ] || continue
            for _ in $(seq 100); do
                pids=$(find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u)
                [ -n "$pids" ] || break
                # shellcheck disable=SC2086  # one word for each process
                kill -KILL $pids 2>/dev/null || true
                sleep 0.05
            done
        done
    done
}

clean_last() {
    local group mount
    for group in /sys/fs/cgroup/fpdemo-h[12] /sys/fs/cgroup/*/fpdemo-h[12]; do
        [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    # shellcheck disable=SC2013 # the kernel writes a space as \040, so a word is a line
    for mount in $(awk -v under="$scratch/docker-" 'index($2, under) == 1 { print $2 }' /proc/self/mounts | sort -r); do
        umount -l "$mount" 2>/dev/null || true
    done
}

begin
image
step "etcd on h1; a fastpath daemon and a dockerd on each host"
etcd_start
for host in h1 h2; do
    docker_start $host
    printf 'docker_socket = "%s"\n' "$scratch/docker-$host/sock" >"$scratch/$host.toml"
    daemon_start $host --config "$scratch/$host.toml" --docker-plugin-dir "$scratch/docker-$host/plugins"
    [ $host = h2 ] || h1_pid=$daemon_pid
done
for host in h1 h2; do docker_ready $host; done

step "The same command on both hosts: the first one creates the network, the second one joins it"
for host in h1 h2; do
    dock $host network create -d fastpath --ipam-driver fastpath --subnet 10.9.0.0/24 demo-overlay
done
fast h1 network ls

step "A container on each host"
dock h1 run -d --init --name c1 --net demo-overlay --dns 10.9.0.1 busybox sleep 10000
dock h2 run -d --init --name c2 --net demo-overlay --dns 10.9.0.1 -p 8080:80 busybox httpd -f -p 80 -h /srv
dock h1 exec c1 ip address show eth0

step "They see each other as if they were on one switch, also by name: the gateway address answers DNS on each host"
dock h1 exec c1 ping -c 3 10.9.0.3
until quietly h1 exec c1 nslookup c2; do sleep 0.1; done # the name comes a moment after the container
dock h1 exec c1 ping -c 1 c2

step "A file through the overlay, $megabytes MiB"
start=$EPOCHREALTIME
received=$(dock h1 exec c1 sh -c 'wget -q -O - http://c2/file | sha256sum' | tee /dev/stderr | tail -n 1 | cut -d' ' -f1)
end=$EPOCHREALTIME
awk -v s="$start" -v e="$end" -v m="$megabytes" \
    'BEGIN { printf "%.2f s: %.2f Gbit/s, with what wget and sha256sum take\n", e - s, m * 8 * 1.048576 / 1000 / (e - s) }'
[ "$(sha256sum <"$scratch/file" | cut -d' ' -f1)" = "$received" ] || { echo "the file arrived damaged" >&2; exit 1; }

step "From outside: the port that c2 publishes on its host"
show h1 busybox wget -q -O - http://192.0.2.2:8080/

step "The fastpath daemon of h1 is killed during a ping and starts again; then etcd is killed"
docker -H "unix://$scratch/docker-h1/sock" exec c1 ping -q -c 200 -i 0.02 10.9.0.3 &
ping_pid=$!
sleep 0.5
killed "$h1_pid"
daemon_start h1 --config "$scratch/h1.toml" --docker-plugin-dir "$scratch/docker-h1/plugins"
wait $ping_pid
killed "$etcd_pid"
dock h1 exec c1 ping -q -c 100 -i 0.02 10.9.0.3
fast h1 status || true
etcd_start
until healthy h1 && healthy h2; do sleep 0.1; done

step "Containers and networks are removed; nothing is left in the cluster"
dock h1 rm -f c1
dock h2 rm -f c2
dock h1 network rm demo-overlay
dock h2 network rm demo-overlay
fast h1 network ls

say "Done; everything is removed again."
