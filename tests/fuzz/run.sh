#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD SECONDS TARGET...: run the targets in turn, each for its share of SECONDS. What they
# find is kept in BUILD/corpus. Fails after the first crash and says how to see it again.
set -eu
build=$1 seconds=$2
shift 2
here=$(dirname "$0")
share=$((seconds / $#))
[ "$share" -gt 0 ] || share=1 # 0 would mean "without end"

# Freed memory is kept from reuse for a while; a small store is enough for inputs this short.
export ASAN_OPTIONS="quarantine_size_mb=16:${ASAN_OPTIONS:-}"

value() { # value NAME: one of the final statistics in the log
    sed -n "s/^stat::$1: *//p" "$log"
}

for target; do
    case $target in
    decap | parse | too_big | split | pcap | outer) max_len=2048 ;;
    *) max_len=512 ;; # operations: longer inputs find nothing new, but slowly
    esac
    corpus=$build/corpus/$target log=$build/$target.log
    mkdir -p "$corpus" "$build/crash"
    set -- "$corpus" "$here/seeds/$target"
    [ ! -d "$here/found/$target" ] || set -- "$@" "$here/found/$target"
    if ! "$build/fuzz_$target" -max_total_time="$share" -max_len="$max_len" -timeout=10 \
        -artifact_prefix="$build/crash/$target-" -print_final_stats=1 "$@" >"$log" 2>&1; then
        tail -n 60 "$log"
        input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        echo "fuzz_$target failed; the whole log is $log" >&2
        [ -z "$input" ] || echo "to see it again: $build/fuzz_$target $input" >&2
        exit 1
    fi
    first=$(sed -n 's/.*INITED cov: \([0-9]*\).*/\1/p' "$log")
    covered=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
    kept=$(find "$corpus" -type f | wc -l)
    echo "fuzz_$target: $share s, $(value number_of_executed_units) execs" \
        "($(value average_exec_per_sec)/s), $covered edges ($first at the start), $kept inputs kept"
done
