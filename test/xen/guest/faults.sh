#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in dom0: starts the guest "faults" once for each line of faults.expected; every one has to crash with the report
# that its line asks for. Beside it: faults.xen and faults.expected. 0: all did.
. /lib/xenbed.sh
here=$(cd "$(dirname "$0")" && pwd)
failures=0 count=0

wrong() {
    echo "FAILED: $name: $*"
    good=0
}

while IFS="$(printf '\t')" read -r name patterns; do
    case $name in '#'*) continue ;; esac
    count=$((count + 1))
    GUEST_NAME=fault-$count
    {
        echo "name = '$GUEST_NAME'"
        echo "type = 'pvh'"
        echo "kernel = '$here/faults.xen'"
        echo "cmdline = '$name'"
        echo "memory = 4"
        echo "vcpus = 1"
        echo "tsc_mode = 'native'"
        echo "on_poweroff = 'preserve'"
        echo "on_crash = 'preserve'"
    } >/run/fault.cfg
    xl create /run/fault.cfg >/run/fault.err 2>&1 || { cat /run/fault.err; exit 1; }
    guest_wait_end 20
    good=1
    [ "$(guest_state)" = crash ] || wrong "not a crash, but $(guest_state)"
    tr -d '\r' <"$(guest_console)" >/run/fault.log
    tab=$(printf '\t')
    rest=$patterns$tab
    while [ -n "$rest" ]; do
        pattern=${rest%%"$tab"*} rest=${rest#*"$tab"}
        grep -qE -e "$pattern" /run/fault.log || wrong "no '$pattern'"
    done
    grep -qE '^backtrace: 0x[0-9a-f]{8}' /run/fault.log || wrong "no backtrace"
    if [ $name = long-last-words ] && [ "$(grep -c '^a line of sixty-four octets.*panic$' /run/fault.log)" != 256 ]; then
        wrong "lines are missing"
    fi
    [ $good = 1 ] || { cat /run/fault.log; failures=$((failures + 1)); }
    guest_destroy
done <"$here/faults.expected"
echo "$((count - failures)) of $count faults reported as they should be"
[ $failures = 0 ]
