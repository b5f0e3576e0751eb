#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fuzz.sh [SECONDS [NAME...]]: run each fuzz target (tests/fuzz/fuzz_NAME.c) for so long, first on
# what earlier runs and tests/fuzz/seeds/NAME hold. One test point each.
# timeout: 600 s
. "$(dirname "$0")/../lib.sh"

seconds=${1:-2}
shift $(($# > 0))
cd "$TOP" || exit 1
export TMPDIR=$WORK

run_target()
{
    local name=$1 bin=$B/fuzz/fuzz_$1 corpus=$B/fuzz/corpus/$1 seeds=()
    mkdir -p "$corpus"
    [ -d "tests/fuzz/seeds/$name" ] && seeds=("tests/fuzz/seeds/$name")
    timeout $((seconds + 60)) "$bin" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -max_len=4096 -len_control=0 -use_value_profile=1 -print_funcs=0 -print_final_stats=1 \
        -artifact_prefix="$B/fuzz/$name-" "$corpus" ${seeds[@]+"${seeds[@]}"} >"$WORK/out" 2>&1 &&
        return 0
    grep -E '^(==|SUMMARY|    #[0-9]|.*runtime error|.*Test unit written|.*fuzz_)' "$WORK/out" |
        head -n 40
    return 1
}

for src in tests/fuzz/fuzz_*.c; do
    name=$(basename "$src" .c)
    name=${name#fuzz_}
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    if [ ! -x "$B/fuzz/fuzz_$name" ]; then
        skip "$name takes whatever comes" "not built: clang and its runtime are missing"
        continue
    fi
    ok "$name takes whatever comes" run_target "$name"
    sed -n 's/^stat::number_of_executed_units: */# executions: /p' "$WORK/out"
done
finish
