# SPDX-License-Identifier: MIT
# What scripts in dom0 ask about guests: . /lib/guest.sh

# guest_console NAME: the file with everything that it printed
guest_console() { echo "/var/log/xen/console/guest-$1.log"; }

# guest_state NAME: running, paused, poweroff, reboot, suspend, crash, dying, or gone. Column 5 of xl list -v has the
# letters rbpscd, column 8 the reason why a stopped domain stopped.
guest_state() {
    # shellcheck disable=SC2046  # words are wanted
    set -- $(xl list -v 2>/dev/null | awk -v n="$1" '$1 == n { print $5, $8 }')
    case "${1:-none} ${2:-}" in
    none*) echo gone ;;
    *d' '*) echo dying ;;
    ???s*' 0') echo poweroff ;;
    ???s*' 1') echo reboot ;;
    ???s*' 2') echo suspend ;;
    ???s*) echo crash ;;
    ??p*) echo paused ;;
    *) echo running ;;
    esac
}

# seconds: since dom0's start
seconds() {
    read -r up _ </proc/uptime
    echo "${up%.*}"
}

# guest_wait_text NAME SECONDS REGEX: until a line of its console matches; 1 when none did
guest_wait_text() {
    end=$(($(seconds) + $2))
    until grep -aqE -e "$3" "$(guest_console "$1")" 2>/dev/null; do
        [ "$(seconds)" -ge $end ] && return 1
        usleep 50000
    done
}

# guest_wait_state NAME SECONDS STATE...: until it is in one of them, which is printed
guest_wait_state() {
    name=$1 end=$(($(seconds) + $2))
    shift 2
    while :; do
        state=$(guest_state "$name")
        for wanted; do [ "$state" = "$wanted" ] && { echo "$state"; return 0; }; done
        [ "$(seconds)" -ge $end ] && { echo "$state"; return 1; }
        usleep 100000
    done
}
