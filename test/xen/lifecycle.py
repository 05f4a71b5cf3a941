# SPDX-License-Identifier: MIT
"""Domains come, obey, fail and go: what the toolstack sees of a guest."""

import os
import re
import time

from suite import HERE, Skip, check, equal


def hello_says_hello_and_powers_off(suite):
    guest = suite.guest("hello.xen", memory=8).create()
    equal(guest.wait_state("poweroff", "crash"), "poweroff", "state")
    said = guest.console()
    check(re.search(r"^hello on mirage \S+, xen, up in \S+ ms$", said, re.M), said)
    check("\nHello, world!\n" in said, said)


def hello_runs_in_the_least_memory_that_xl_gives(suite):
    """1 MiB is the least that xl can say."""
    guest = suite.guest("hello.xen", memory=1).create()
    equal(guest.wait_state("poweroff", "crash"), "poweroff", "state with 1 MiB")
    check("Hello, world!" in guest.console(), guest.console())


def hello_runs_in_256_mib(suite):
    guest = suite.guest("hello.xen", memory=256).create()
    equal(guest.wait_state("poweroff", "crash"), "poweroff", "state")


def boot_keys_that_are_wrong_are_explained(suite):
    guest = suite.guest("hello.xen", memory=8, cmdline="--nonsense=1").create()
    equal(guest.wait_state("poweroff", "crash"), "crash", "state")
    check(re.search(r"boot keys?.*--nonsense", guest.console()), guest.console())


def xl_takes_every_configuration_of_the_build(suite):
    """Each NAME.xl beside an image: xl's own parser reads it, and finds its vifs and disks with their lines uncommented."""
    found = 0
    examples = os.path.join(suite.build, "examples")
    for name in sorted(os.listdir(examples)) if os.path.isdir(examples) else ():
        path = os.path.join(examples, name, name + ".xl")
        if not os.path.exists(path):
            continue
        found += 1
        with open(path, encoding="utf-8") as file:
            text = file.read()
        kernel = re.search(r'^kernel = "(.*)"$', text, re.M)[1]
        check(os.path.exists(kernel), f"{path} names {kernel}, which is not there")
        # xl looks whether a disk's target is there
        suite.bed.run("mkdir -p /dev/vg; for n in $(sed -n 's|.*target=/dev/vg/\\([^\"]*\\)\".*|\\1|p' <<'E'\n" + text
                      + "\nE\n); do : >/dev/vg/$n; done")
        for variant in (text, re.sub(r"^#(vif|disk|cmdline|on_crash)", r"\1", text, flags=re.M)):
            suite.bed.put("/job/tmp/try.cfg", variant)
            suite.bed.run("xl create -n /job/tmp/try.cfg")
    if not found:
        raise Skip("no NAME.xl is built")


def the_platform_keeps_its_promises(suite):
    """Time, event channels, grants and memory: guest/core.cpp."""
    guest = suite.guest("guest-core.xen", memory=32).create()
    guest.wait_state("poweroff", "crash", seconds=120)
    said = guest.console()
    check("SUCCESS" in said and "FAILED" not in said, said)


def every_fault_is_reported(suite):
    """guest/faults.expected: a wrong thing that a guest does, and what its report has to say."""
    with open(os.path.join(HERE, "guest", "faults.expected"), encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    image = suite.image("guest-faults.xen")
    # all are made first, and looked at together: every order to dom0 costs more than a guest's life
    script = ["cd /job/tmp"]
    for name, *_ in lines:
        guest = suite.bed.guest(f"fault-{name}", image, memory=4, cmdline=name)
        script.append(f"cat >fault.cfg <<'E'\n{guest.configuration}E\nxl create -q -e fault.cfg || exit 1")
    suite.bed.run("\n".join(script), 60 + 10 * len(lines))
    suite.bed.run("n=0; while xl list | awk 'NR > 2 && $5 !~ /s/' | grep -q fault-; do usleep 300000; n=$((n + 1)); "
                  "[ $n -ge 200 ] && exit 1; done; true", 120, check=False)
    reasons = dict(re.findall(r"^fault-(\S+) .*? [rbpscd-]{6} .*? (\d+|-) *\S*$", suite.bed.run("xl list -v"), re.M))
    wrong = []
    for name, *patterns in lines:
        said = suite.bed.get(f"/var/log/xen/console/guest-fault-{name}.log").decode(errors="replace").replace("\r", "")
        patterns += [r"^backtrace: 0x[0-9a-f]{8}"]
        missing = [pattern for pattern in patterns if not re.search(pattern, said, re.M)]
        if reasons.get(name) != "3" or missing:  # 3: SHUTDOWN_crash
            wrong.append(f"{name}: reason {reasons.get(name)}; missing {missing} in:\n{said}")
        if name == "long-last-words":
            count = len(re.findall(r"^a line of sixty-four octets.*panic$", said, re.M))
            if count != 256:
                wrong.append(f"{name}: {count} lines of 256")
    check(not wrong, "\n".join(wrong))
    check(len(lines) >= 30, f"only {len(lines)} faults")


def suspend_without_a_store_goes_on(suite):
    """guest/suspends.cpp: saved once and restored, then saved with the original going on (xl save -c). It knows no store,
    so that the request is acknowledged on its behalf."""
    def save(options):
        suite.bed.run(f"""request=/local/domain/{guest.domid()}/control/shutdown
            xl save {options} suspends /job/tmp/state >/job/tmp/said 2>&1 & save=$!
            n=0
            until [ "$(xenstore-read $request)" = suspend ]; do
                usleep 20000; n=$((n + 1)); [ $n -ge 200 ] && break
            done
            xenstore-write $request ''
            wait $save || {{ cat /job/tmp/said; exit 1; }}""", 120)

    guest = suite.guest("guest-suspends.xen", "suspends", memory=16).create()
    guest.wait_text("round 0: ready", 30)
    save("")
    console = guest.console()
    suite.bed.run("xl restore /job/tmp/state")
    guest.wait_text("round 0: goes on elsewhere", 60)
    guest.wait_text("round 1: ready", 60)
    save("-c")
    guest.wait_state("poweroff", "crash", seconds=60)
    said = guest.console()
    check("SUCCESS" in said and "FAILED" not in said, console + said)


def shutdown_requests_are_obeyed(suite):
    """control/shutdown: poweroff, halt and reboot, each by the toolstack's own command."""
    guest = None
    for command, expected in (("xl shutdown {0}", ("poweroff",)), ("xl reboot {0}", ("reboot",)),
                              ("xenstore-write /local/domain/{1}/control/shutdown halt", ("poweroff", "crash"))):
        guest = suite.served("echo.xen", "10.0.0.10")
        suite.bed.run(command.format(guest.name, guest.domid()))
        state = guest.wait_state("poweroff", "reboot", "crash", "suspend")
        check(state in expected, f"{command}: {state}")
        guest.close()


def a_rebooted_guest_comes_back(suite):
    guest = suite.served("echo.xen", "10.0.0.11", on_reboot="restart")
    before = guest.domid()
    guest.xl("reboot")
    deadline = time.monotonic() + 60
    after = before
    while after == before and time.monotonic() < deadline:
        status, said = suite.bed.run(f"xl domid {guest.name}", check=False)
        after = int(said) if status == 0 else before
    check(after != before, "no new domain after xl reboot")
    suite.reach(guest, "10.0.0.11")


def pause_and_unpause(suite):
    guest = suite.served("echo.xen", "10.0.0.12")
    guest.xl("pause")
    equal(guest.state(), "paused", "state")
    status, _ = suite.bed.run("ping -c 1 -W 1 10.0.0.12", check=False)
    check(status != 0, "a paused guest answers")
    guest.xl("unpause")
    suite.reach(guest, "10.0.0.12")


def save_and_restore(suite):
    """Twice, with a connection of the client's that stays: what was acknowledged before is not lost, what is sent
    afterwards is echoed."""
    guest = suite.served("echo.xen", "10.0.0.13")
    say = suite.talk("10.0.0.13")
    say("before")
    for word in ("first", "second"):
        guest.xl("save", "/job/tmp/state", 120)
        equal(guest.state(), "gone", "state after xl save")
        suite.bed.run("xl restore /job/tmp/state; rm /job/tmp/state", 120)
        suite.reach(guest, "10.0.0.13", 60)
        say(word)


def live_migration(suite):
    """From this host to this host, by the toolstack's own way: memory is copied while the guest runs, and a connection and
    an upload go on."""
    guest = suite.served("echo.xen", "10.0.0.16")
    before = guest.domid()
    say = suite.talk("10.0.0.16")
    say("before")
    suite.bed.run("""dd if=/dev/urandom of=/job/tmp/sent bs=64k count=256 2>/dev/null
        (nc 10.0.0.16 7 </job/tmp/sent >/job/tmp/back; echo done >/job/tmp/ended) >/dev/null 2>&1 &""")
    suite.bed.run(f"xl migrate -s '' {guest.name} 'xl migrate-receive'", 180)
    check(guest.domid() != before, "it is the same domain")
    suite.reach(guest, "10.0.0.16", 60)
    say("after")
    suite.bed.run("n=0; until [ -e /job/tmp/ended ]; do usleep 200000; n=$((n + 1)); [ $n -ge 450 ] && exit 1; done; "
                  "cmp /job/tmp/sent /job/tmp/back", 120)


def hello_runs_in_many_gib(suite):
    """A memory map of 16 GiB, of which Xen gives what the guest touches: the bed's machine has not as much."""
    guest = suite.guest("hello.xen", memory=32, extra=["maxmem = 16384"]).create()
    equal(guest.wait_state("poweroff", "crash"), "poweroff", "state")
    check("Hello, world!" in guest.console(), guest.console())
    # All of it is mapped, and is the heap; soon afterwards this one has touched more than there is.
    guest = suite.guest("guest-core.xen", memory=32, extra=["maxmem = 16384"]).create()
    guest.wait_text("heap octets: 17[01][0-9]{8}")


def too_little_memory_is_explained(suite):
    """An application whose buffers (16 MiB) do not fit: its last words say so, and it is a crash to the toolstack."""
    guest = suite.guest("guest-transfer.xen", memory=6, vifs=1, cmdline="--ipv4=10.0.0.14/24").create()
    equal(guest.wait_state("poweroff", "crash"), "crash", "state")
    check(re.search(r"no memory|too little memory", guest.console()), guest.console())


def website_serves_in_2_mib(suite):
    suite.served("website.xen", "10.0.0.15", memory=2)
    check("<html" in suite.bed.run("curl -sSf --max-time 20 http://10.0.0.15/"), "no page")


CHECKS = [hello_says_hello_and_powers_off, hello_runs_in_the_least_memory_that_xl_gives, hello_runs_in_256_mib,
          boot_keys_that_are_wrong_are_explained, xl_takes_every_configuration_of_the_build,
          the_platform_keeps_its_promises, every_fault_is_reported, suspend_without_a_store_goes_on,
          shutdown_requests_are_obeyed, a_rebooted_guest_comes_back, pause_and_unpause, save_and_restore,
          live_migration, hello_runs_in_many_gib,
          too_little_memory_is_explained, website_serves_in_2_mib]
