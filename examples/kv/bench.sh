#!/usr/bin/env bash
# Compares kv with redis-server by redis-benchmark: 50 clients, 3-byte values, the
# server alone on one core and the load on another. The two take turns, so that what
# else the machine does hits both; a figure is the median of ROUNDS runs. "us" is
# the server's processor time for one command, which other load disturbs less.
#
#	examples/kv/bench.sh            # needs redis-server, redis-benchmark, taskset
#	ROUNDS=3 PIPELINES=16 examples/kv/bench.sh
set -euo pipefail
cd "$(dirname "$0")"

rounds=${ROUNDS:-7}
pipelines=${PIPELINES:-1 16}
server_core=${SERVER_CORE:-0}
load_core=${LOAD_CORE:-1}
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$dir"' EXIT

go build -o "$dir/kv" .
taskset -c "$server_core" "$dir/kv" -addr 127.0.0.1:0 >"$dir/kv.out" 2>&1 &
pids+=($!)
kv_pid=$!
# Redis takes no port of the kernel's choosing.
redis_port=${REDIS_PORT:-$((20000 + RANDOM % 10000))}
taskset -c "$server_core" redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" >"$dir/redis.out" &
pids+=($!)
redis_pid=$!
until kv_port=$(sed -n 's/^listening on tcp .*:\([0-9]*\) .*/\1/p' "$dir/kv.out") && [ -n "$kv_port" ]; do sleep 0.1; done
until redis-cli -p "$redis_port" ping >/dev/null 2>&1; do sleep 0.1; done

# processor time of a process, in ns, all threads together
cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ns += $1} END {printf "%.0f", ns}'; }

# run SERVER PORT PID TEST PIPELINE: appends "requests/s us" to a file
run() {
	local n=$(($5 == 1 ? 100000 : 600000)) before after rps
	before=$(cpu "$3")
	rps=$(taskset -c "$load_core" redis-benchmark -p "$2" -t "$4" -P "$5" -n "$n" -c 50 --csv 2>/dev/null |
		awk -F'"' -v t="${4^^}" '$2 == t {print $4}')
	after=$(cpu "$3")
	echo "$rps $(((after - before) / n))" >>"$dir/$1.$4.$5"
}
# median FILE COLUMN
median() { awk -v c="$2" '{print $c}' "$1" | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

for ((i = 0; i < rounds; i++)); do
	for pipeline in $pipelines; do
		for test in set get; do
			run kv "$kv_port" "$kv_pid" $test "$pipeline"
			run redis "$redis_port" "$redis_pid" $test "$pipeline"
		done
	done
done

printf '%-8s %12s %12s %7s %9s %9s %7s\n' test 'kv req/s' 'redis req/s' ratio 'kv us' 'redis us' ratio
for pipeline in $pipelines; do
	for test in set get; do
		k=$dir/kv.$test.$pipeline r=$dir/redis.$test.$pipeline
		printf '%s %s %s %s %s\n' "$test/P$pipeline" "$(median "$k" 1)" "$(median "$r" 1)" "$(median "$k" 2)" "$(median "$r" 2)" |
			awk '{printf "%-8s %12.0f %12.0f %7.2f %9.2f %9.2f %7.2f\n", $1, $2, $3, $2/$3, $4/1000, $5/1000, $4/$5}'
	done
done
