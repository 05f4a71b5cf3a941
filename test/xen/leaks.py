# SPDX-License-Identifier: MIT
"""Nothing of a guest stays when it has gone: xl, xenstore and Xen's own counters, before and after 200 of them."""

import re

from suite import Skip, check, equal

PLAIN, SERVING = 160, 40  # guests that say hello and end; guests that are destroyed while a client talks to them


def whats_there(suite):
    """What a leak would change."""
    bed = suite.bed
    said = suite.grants()
    info = dict(re.findall(r"^(\S+)\s*: (.*)$", bed.run("xl info"), re.M))
    return {
        "domains of xl list": bed.run("xl list | awk 'NR > 1 { print $1 }'").split(),
        "domains with grant tables": re.findall(r"grant-table for remote (d\d+)", said),
        "active grants": len(re.findall(r"\[0x[0-9a-f]+\]", said)),
        "event channels of dom0": int(bed.run("lsevtchn 0 | wc -l")),
        "nodes of xenstore": sorted(bed.run("xenstore-ls -f / | sed 's/ = .*//'").splitlines()),
        "free memory (MiB)": int(info["free_memory"]),
        "vifs": int(bed.run("ls -d /sys/class/net/vif* 2>/dev/null | wc -l")),
        "loop devices": bed.run("losetup -a"),
    }


def until_only_dom0(suite, seconds=60):
    suite.bed.run("n=0; while [ $(xl list | wc -l) -gt 2 ]; do usleep 300000; n=$((n + 1)); "
                  f"[ $n -ge {seconds * 3} ] && {{ xl list; exit 1; }}; done; true", seconds + 60)


def cycle_plain(suite, count):
    """Guests that power off by themselves, and that xl then destroys."""
    guest = suite.guest("hello.xen", "cycle", memory=4)
    suite.bed.put("/job/tmp/cycle.cfg", guest.configuration.replace("preserve", "destroy"))
    # two at a time: the second is made while the first is still going
    suite.bed.run(f"""n=0
        while [ $n -lt {count} ]; do
            n=$((n + 1))
            sed "s/\\"cycle\\"/\\"cycle-$n\\"/" /job/tmp/cycle.cfg >/job/tmp/cycle-$n.cfg
            xl create -q /job/tmp/cycle-$n.cfg || exit 1
            rm /job/tmp/cycle-$n.cfg
        done""", 60 + 6 * count)
    until_only_dom0(suite)
    said = int(suite.bed.run("cat /var/log/xen/console/guest-cycle-*.log | grep -c '^Hello, world!'"))
    equal(said, count, "guests that said hello")
    suite.bed.run("rm /var/log/xen/console/guest-cycle-*.log /var/log/xen/xl-cycle-*.log*")


def cycle_serving(suite, count):
    """Guests with a network and a client, destroyed in the middle of it."""
    suite.bed.run("dd if=/dev/urandom of=/job/tmp/sent bs=64k count=64 2>/dev/null")
    guest = suite.guest("echo.xen", "serving", memory=16, vifs=1, cmdline="--ipv4=10.0.0.60/24")
    suite.bed.put("/job/tmp/serving.cfg", guest.configuration)
    suite.bed.run(f"""n=0
        while [ $n -lt {count} ]; do
            n=$((n + 1))
            xl create -q /job/tmp/serving.cfg || exit 1
            ip neigh flush all
            tries=0
            until ping -c 1 -W 1 10.0.0.60 >/dev/null; do
                tries=$((tries + 1))
                [ $tries -ge 30 ] && {{ echo "guest $n does not answer"; exit 1; }}
            done
            nc 10.0.0.60 7 </job/tmp/sent 2>/dev/null | head -c 20000 >/dev/null &
            [ $((n % 2)) = 0 ] && usleep 50000
            xl destroy serving || exit 1
            killall nc 2>/dev/null
        done
        rm -f /var/log/xen/console/guest-serving.log""", 60 + 10 * count)
    until_only_dom0(suite)


def two_hundred_guests_leave_nothing(suite):
    devices = True
    try:
        cycle_serving(suite, 1)  # what is made once and stays: directories of xenstore, the pool of dom0's grants
    except Skip:
        devices = False
    cycle_plain(suite, 1)
    before = whats_there(suite)
    equal(before["domains of xl list"], ["Domain-0"], "domains before")
    cycle_plain(suite, PLAIN if devices else PLAIN + SERVING)
    if devices:
        cycle_serving(suite, SERVING)
    after = whats_there(suite)
    for what, value in before.items():
        # Xen hands memory back in its own time: there may be more of it than before
        same = after[what] >= value if what.startswith("free memory") else after[what] == value
        check(same, f"{what}: {value} before, {after[what]} after")


CHECKS = [two_hundred_guests_leave_nothing]
