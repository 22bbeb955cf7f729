#!/usr/bin/env bash
#
# run.sh
#	  Fuzz each target for its share of the time, and say what came of it.
#
#	run.sh BUILD_FOLDER SECONDS JOBS SEED TARGET...
#
# SECONDS of fuzzing are divided over the targets, of which JOBS run at a time.
# With a seed of 0 each run tries other inputs; the seed is printed.  Prints a
# line for each target; below a failed one, what it found and where the input
# is that led there.  "FOLDER/fuzz_TARGET INPUT" shows it again.
#
# Copyright (c) 2026, store contributors

set -u

folder=$1 seconds=$2 jobs=$3 seed=$4
shift 4

if [ "$seed" -eq 0 ]; then
	seed=$((RANDOM * 32768 + RANDOM + 1))
fi
share=$((seconds / $#))
if [ "$share" -lt 1 ]; then
	share=1
fi
echo "seed $seed, $share s for each of $# targets, $jobs at a time"

fuzz_target()
{
	local target=$1 log=$folder/$1.log status=0

	mkdir -p "$folder/corpus/$target" "$folder/findings"
	"$folder/fuzz_$target" -seed="$seed" -max_total_time="$share" -rss_limit_mb=512 \
		-timeout=10 -max_len=8192 -detect_leaks=0 -print_final_stats=1 \
		-artifact_prefix="$folder/findings/$target-" \
		"$folder/corpus/$target" "$folder/seeds/$target" >"$log" 2>&1 || status=$?
	if [ $status -eq 0 ]; then
		echo "ok - fuzz $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
			"inputs, $(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1) edges"
	else
		echo "not ok - fuzz $target"
		grep -E -A 25 '^FINDING|ERROR: |runtime error' "$log" | head -n 40 | sed 's/^/    /'
		grep -E '^artifact_prefix|Test unit written|^Base64' "$log" | tail -n 3 | sed 's/^/    /'
	fi
}
export -f fuzz_target
export folder seed share

printf '%s\n' "$@" | xargs -P "$jobs" -I{} bash -c 'fuzz_target {}' | tee "$folder/result"
passed=$(grep -c '^ok' "$folder/result")
failed=$(($# - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
