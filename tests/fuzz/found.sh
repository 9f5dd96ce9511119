#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# found.sh BUILD TARGET...: renew found/ with the fewest inputs of BUILD/corpus that reach every line which seeds/ does
# not. Run it after the targets ran for minutes.
set -eu
build=$1
shift
here=$(dirname "$0")
export ASAN_OPTIONS="quarantine_size_mb=16:${ASAN_OPTIONS:-}"

for target; do
    case $target in
    decap | parse | split | pcap | outer) max_len=2048 ;; # as in run.sh
    *) max_len=512 ;;
    esac
    fewest=$(mktemp -d)
    cp "$here/seeds/$target"/* "$fewest" # what these reach needs no other input
    "$build/fuzz_$target" -set_cover_merge=1 -use_counters=0 -max_len="$max_len" \
        "$fewest" "$build/corpus/$target" "$here/found/$target" >"$build/$target.log" 2>&1 ||
        { tail -n 60 "$build/$target.log"; exit 1; }
    for seed in "$here/seeds/$target"/*; do rm "$fewest/${seed##*/}"; done
    rm -f "$here/found/$target"/*
    for input in "$fewest"/*; do
        name=$(basename "$input" | cut -c 1-12)
        mv "$input" "$here/found/$target/$name"
    done
    rmdir "$fewest"
done
