# SPDX-License-Identifier: MIT
"""Guests on the network and with disks, against Linux's netback and blkback."""

import calendar
import hashlib
import json
import os
import re
import tempfile
import urllib.request

import offload
from suite import ROOT, check, equal

MIB = 1 << 20


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def echo_gives_back_what_it_gets(suite):
    suite.served("echo.xen", "10.0.0.20")
    said = suite.bed.run("""dd if=/dev/urandom of=/job/tmp/sent bs=64k count=64 2>/dev/null
        nc 10.0.0.20 7 </job/tmp/sent >/job/tmp/back
        cmp /job/tmp/sent /job/tmp/back && stat -c %s /job/tmp/back""")
    equal(int(said), 4 * MIB, "octets that came back")


def datagrams_of_every_size_come_back(suite):
    """Echoes of ICMP up to a full frame, and UDP with 32 datagrams in flight."""
    load = suite.image("static-udp_echo_load")
    suite.served("echo.xen", "10.0.0.21")
    said = suite.bed.run("""for size in 0 1 17 18 19 100 1471 1472; do
            ping -c 2 -W 2 -s $size 10.0.0.21 | grep -q ' 0% packet loss' || echo "no answer to $size octets"
        done""")
    equal(said, "", "pings without an answer")
    outcome = json.loads(suite.bed.run(f"{load} --address 10.0.0.21 --datagrams 5000", 120).splitlines()[-1])
    equal(outcome["errors"], 0, "errors")


def website_serves_every_page(suite):
    """Each file as it is in the source, by curl in dom0."""
    suite.served("website.xen", "10.0.0.22")
    pages = os.path.join(ROOT, "examples", "website", "pages")
    for name in sorted(os.listdir(pages)):
        if name == "404.html":
            continue
        path = "" if name == "index.html" else name
        found = suite.bed.run(f"curl -sSf --max-time 20 -o /job/tmp/page http://10.0.0.22/{path} && "
                              "sha256sum /job/tmp/page").split()[0]
        equal(found, sha256(os.path.join(pages, name)), f"SHA-256 of {name}")
    equal(suite.bed.run("curl -s -o /dev/null --max-time 20 -w '%{http_code}' http://10.0.0.22/no/such/page"), "404",
          "status of a page that is not there")


def website_answers_outside_the_bed(suite):
    """From the machine that QEMU runs on: what `mirage run website --target xen` shows."""
    suite.served("website.xen", "10.0.0.23")
    port = suite.bed.forward("10.0.0.23:80")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        equal(answer.status, 200, "status")
        check(b"<html" in answer.read(), "no page")


def website_serves_64_connections(suite):
    """Every response is checked by the load generator."""
    load = suite.image("static-http_load")
    guest = suite.served("website.xen", "10.0.0.24")
    outcome = json.loads(suite.bed.run(f"{load} --address 10.0.0.24 --connections 64 --requests 6400", 240)
                         .splitlines()[-1])
    equal((outcome["errors"], outcome["work"]), (0, 6400), "errors and answers")
    equal(guest.state(), "running", "state")


def a_hundred_mib_down_with_sha256(suite):
    pattern = suite.image("static-pattern")
    suite.served("guest-transfer.xen", "10.0.0.25", memory=64)
    want = suite.bed.run(f"{pattern} {100 * MIB} | sha256sum", 240).split()[0]
    found = suite.bed.run(f"curl -sSf --max-time 230 http://10.0.0.25/test/{100 * MIB} | sha256sum", 240).split()[0]
    equal(found, want, "SHA-256 of 100 MiB")


def a_hundred_mib_up_with_sha256(suite):
    pattern = suite.image("static-pattern")
    suite.served("guest-transfer.xen", "10.0.0.26", memory=64)
    want = suite.bed.run(f"{pattern} {100 * MIB} | sha256sum", 240).split()[0]
    found = suite.bed.run(f"{pattern} {100 * MIB} | curl -sSf --max-time 230 -H Expect: -T - http://10.0.0.26/upload", 240)
    equal(found.strip(), want, "SHA-256 of 100 MiB")


def ipv6_both_ways_with_sha256(suite):
    """Over IPv6 beside IPv4. What dom0 sends comes joined to packets of up to 64 KiB (feature-gso-tcpv6)."""
    pattern, size = suite.image("static-pattern"), 30 * MIB
    suite.bed.run("ip -6 addr show dev xenbr0 | grep -q fd00::1 || ip -6 addr add fd00::1/64 dev xenbr0")
    suite.served("guest-transfer6.xen", "10.0.0.33", keys="--ipv6=fd00::33/64", memory=64)
    suite.bed.run("n=0; until ping -6 -c 1 -W 1 fd00::33 >/dev/null; do n=$((n + 1)); [ $n -ge 30 ] && exit 1; done; true")
    want = suite.bed.run(f"{pattern} {size} | sha256sum", 120).split()[0]
    found = suite.bed.run(f"curl -gsSf --max-time 110 http://[fd00::33]/test/{size} | sha256sum", 120).split()[0]
    equal(found, want, "SHA-256 of what came")
    found = suite.bed.run(f"{pattern} {size} | curl -gsSf --max-time 110 -H Expect: -T - http://[fd00::33]/upload", 120)
    equal(found.strip(), want, "SHA-256 of what went")


def the_website_over_ipv6(suite):
    """examples/website with both families: a page over each, and every frame over IPv6 sound; the guest's large segments are cut by
    netback (feature-gso-tcpv6), and their checksums finished there."""
    suite.bed.run("ip -6 addr show dev xenbr0 | grep -q fd00::1 || ip -6 addr add fd00::1/64 dev xenbr0")
    guest = suite.served("website6.xen", "10.0.0.35", keys="--ipv6=fd00::35/64", memory=32)
    suite.bed.run("n=0; until ping -6 -c 1 -W 1 fd00::35 >/dev/null; do n=$((n + 1)); [ $n -ge 30 ] && exit 1; done; true")
    pages = [suite.bed.run("curl -sSf --max-time 30 http://10.0.0.35/ | sha256sum", 60).strip()]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vif6.pcap")
        with suite.captured(suite.device(guest), "10.0.0.35", path):
            pages += suite.bed.run("for n in 1 2 3 4; do curl -gsSf --max-time 30 http://[fd00::35]/ | sha256sum; done", 150).splitlines()
        verdict = offload.judge(path, guest.macs[0])
    check(len(pages) == 5 and len(set(pages)) == 1, f"different pages over IPv4 and IPv6: {pages}")
    print(f"# {verdict}")
    check(verdict.long_of_guest > 0, "the guest sent no large segment")
    check(verdict.partial_of_guest > 0, "the guest left no checksum to netback")


def names_are_resolved(suite):
    """examples/resolve, with a name server in dom0."""
    server = suite.image("static-dns_answer")
    suite.bed.run(f"{server} 10.0.0.1 192.0.2.33 >/dev/null 2>&1 & echo $! >/run/dns.pid")
    try:
        guest = suite.guest("resolve.xen", memory=32, vifs=1,
                            cmdline="--ipv4=10.0.0.34/24 --ipv4-gateway=10.0.0.1 --dns=10.0.0.1 --name=www.example.org").create()
        equal(guest.wait_state("poweroff", "crash"), "poweroff", "state")
        check("192.0.2.33" in guest.console(), guest.console())
    finally:
        suite.bed.run("kill $(cat /run/dns.pid)", check=False)


def captures_on_the_vif_are_sound(suite):
    """tshark's verdict over what passes a vif: nothing malformed, and every checksum right or, where the peer left it to
    be filled in, right for that."""
    guest = suite.served("guest-transfer.xen", "10.0.0.27", memory=64)
    pattern = suite.image("static-pattern")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vif.pcap")
        with suite.captured(suite.device(guest), "10.0.0.27", path):
            suite.bed.run(f"""curl -sSf --max-time 60 -o /dev/null http://10.0.0.27/test/{2 * MIB}
                {pattern} {2 * MIB} | curl -sSf --max-time 60 -H Expect: -T - http://10.0.0.27/upload
                ping -c 3 -s 1000 10.0.0.27
                for n in 1 2 3 4 5 6 7 8; do curl -sSf --max-time 60 -o /dev/null http://10.0.0.27/test/$((n * 1447)); done
                """, 240)
        verdict = offload.judge(path, guest.macs[0])
    print(f"# {verdict}")
    check(verdict.packets > 100, f"only {verdict.packets} packets")


def two_vifs_are_two_networks(suite):
    """Each on a bridge of its own, in the manifest's order; load on both at once."""
    suite.bed.run("[ -e /sys/class/net/xenbr1 ] || { brctl addbr xenbr1; ip addr add 10.1.0.1/24 dev xenbr1; "
                  "ip link set xenbr1 up; }")
    guest = suite.guest("guest-two_vifs.xen", vifs=["bridge=xenbr0", "bridge=xenbr1"],
                        cmdline="--front=10.0.0.28/24 --back=10.1.0.28/24").create()
    suite.reach(guest, "10.0.0.28")
    suite.reach(guest, "10.1.0.28")
    suite.bed.run("""dd if=/dev/urandom of=/job/tmp/sent bs=64k count=32 2>/dev/null
        nc 10.0.0.28 7 </job/tmp/sent >/job/tmp/front & first=$!
        nc 10.1.0.28 7 </job/tmp/sent >/job/tmp/back
        wait $first
        cmp /job/tmp/sent /job/tmp/front && cmp /job/tmp/sent /job/tmp/back""", 120)
    # the neighbours' addresses say which vif is which
    known = suite.bed.run("cat /proc/net/arp")
    for address, bridge, mac in (("10.0.0.28", "xenbr0", guest.macs[0]), ("10.1.0.28", "xenbr1", guest.macs[1])):
        check(re.search(rf"^{address} .*{mac}.* {bridge}$", known, re.M), f"{address} is not {mac} on {bridge}:\n{known}")


def network_detach_and_attach(suite):
    """Ten times, with the same interface afterwards. A connection survives; the guest has as many grants and channels as
    before."""
    guest = suite.served("echo.xen", "10.0.0.29")
    mac = guest.macs[0]
    say = suite.talk("10.0.0.29")
    say("before")
    again(suite, guest, mac)  # queues and rings have the size that they keep
    before = holdings(suite, guest)
    for _ in range(4):
        again(suite, guest, mac)
    after = holdings(suite, guest)
    say("after")
    equal(after[0], before[0], "event channels of the guest")
    # the free list of receive requests is as full as traffic lets it be: a page or two either way is no leak
    check(after[1] <= before[1] + 8, f"grants of the guest: {before[1]} before, {after[1]} after")


def again(suite, guest, mac):
    device = guest.bed.run(f"xl network-list {guest.name} | awk 'NR == 2 {{ print $1 }}'").strip()
    guest.xl("network-detach", device)
    equal(len(guest.xl("network-list").splitlines()), 1, "lines of xl network-list when detached")
    guest.xl("network-attach", f"mac={mac} bridge=xenbr0")
    suite.reach(guest, "10.0.0.29", 60)


def netback_is_restarted(suite):
    """Its driver lets go of the interface and takes it again; then it is unloaded meanwhile, and another one loaded: what a
    guest sees of a backend that crashed. A connection survives."""
    guest = suite.served("echo.xen", "10.0.0.30")
    name = suite.device(guest)
    say = suite.talk("10.0.0.30")
    say("before")
    driver, device = "/sys/bus/xen-backend/drivers/vif", name.replace("vif", "vif-").replace(".", "-")
    stops = f"echo {device} >{driver}/unbind"
    for word, more, starts in (("bound", "", f"echo {device} >{driver}/bind"),
                               ("loaded", " && rmmod xen_netback", "insmod /modules/xen-netback.ko")):
        suite.bed.run(stops + more)
        check(name not in suite.bed.run("ls /sys/class/net"), f"{name} is there without its driver")
        # The toolstack's script has joined the first interface to the bridge; nobody does it for the next.
        suite.bed.run(f"""{starts}
            n=0; until [ -e /sys/class/net/{name} ]; do usleep 50000; n=$((n + 1)); [ $n -ge 400 ] && exit 1; done
            vif={name} XENBUS_PATH=backend/{device.replace("-", "/")} /etc/xen/scripts/vif-bridge online""", 90)
        suite.reach(guest, "10.0.0.30", 60)
        say(word)


def groups_that_nobody_wants_are_kept_back(suite):
    """netback's own counter: of what another guest sends to two groups, the one that was joined passes, and the other does
    not reach the guest."""
    guest = suite.served("guest-groups.xen", "10.0.0.31")
    suite.bed.run(f"""n=0; until [ "$(xenstore-read /local/domain/{guest.domid()}/device/vif/0/request-multicast-control)" = 1 ]; do
        usleep 100000; n=$((n + 1)); [ $n -ge 100 ] && exit 1; done; true""")
    counter = f"cat /sys/class/net/{suite.device(guest)}/statistics/tx_dropped"
    before = int(suite.bed.run(counter))
    suite.served("guest-groups.xen", "10.0.0.32", keys="--sends=20")
    said = guest.wait_text("datagram 20")
    check("another group" not in said, said)
    after = int(suite.bed.run(counter))
    check(after - before >= 20, f"{after - before} frames were kept back, of 20")


def holdings(suite, guest):
    """(event channels, grants in use) of a guest, as Xen counts them."""
    domain = guest.domid()
    channels = suite.bed.run(f"lsevtchn {domain} | wc -l")
    said = suite.grants()
    part = re.search(rf"grant-table for remote d{domain} (.*?)(grant-table for|gnttab_usage_print_all \])", said, re.S)
    check(part, f"Xen says nothing of domain {domain}:\n{said}")
    return int(channels), len(re.findall(r"\[0x[0-9a-f]+\]", part[1]))


def clock_agrees_with_dom0(suite):
    """UTC as dom0 has it, and no tick that comes early (the guest fails then)."""
    before = int(suite.bed.run("date +%s"))
    guest = suite.guest("clock.xen", memory=8).create()
    equal(guest.wait_state("poweroff", "crash", seconds=120), "poweroff", "state")
    after = int(suite.bed.run("date +%s"))
    said = guest.console()
    spoken = re.findall(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)", said)
    check(spoken, said)
    for tick in spoken:
        of_guest = calendar.timegm(tuple(map(int, tick)))
        # dom0's clock and the guest's are read from Xen's at different times, in whole seconds
        check(before - 1 <= of_guest <= after + 1, f"{of_guest}, between {before} and {after} in dom0:\n{said}")


def disk_image(suite, name, mib):
    """A file in dom0 with random content; the guest's disk is a loop device over it."""
    return suite.bed.run(f"dd if=/dev/urandom of=/job/tmp/{name} bs=1M count={mib} 2>/dev/null; echo /job/tmp/{name}").strip()


def digest_of(guest):
    found = re.search(r"SHA-256 of the first (\d+) octets: ([0-9a-f]{64})", guest.console())
    check(found, guest.console())
    return int(found[1]), found[2]


def dom0_finds_what_the_guest_wrote(suite):
    """Everything, and then a thousand random places with 16 operations under way; what dom0 reads has the SHA-256 that the
    guest says."""
    path = disk_image(suite, "disk", 16)
    guest = suite.guest("disk.xen", memory=32, disks=[path], cmdline="--use=write --area=16 --writes=1000").create()
    equal(guest.wait_state("poweroff", "crash", seconds=120), "poweroff", "state")
    guest.close()  # the loop device writes its file
    octets, digest = digest_of(guest)
    equal(octets, 16 * MIB, "octets")
    equal(suite.bed.run(f"sha256sum {path}").split()[0], digest, "SHA-256")


def the_guest_finds_what_dom0_wrote(suite):
    path = disk_image(suite, "disk", 16)
    want = suite.bed.run(f"sha256sum {path}").split()[0]
    guest = suite.guest("disk.xen", memory=32, cmdline="--use=read --area=16",
                        disks=[f"format=raw,vdev=xvda,access=ro,target={path}"]).create()
    equal(guest.wait_state("poweroff", "crash", seconds=120), "poweroff", "state")
    equal(digest_of(guest), (16 * MIB, want), "octets and SHA-256")
    equal(suite.bed.run(f"sha256sum {path}").split()[0], want, "SHA-256 afterwards")


def written_while(suite, happens, writes=4000):
    """A guest writes at random places, with 16 operations under way, and reads everything back; meanwhile something happens.
    Nothing that it wrote is lost, and dom0 reads the same."""
    path = disk_image(suite, "disk", 16)
    guest = suite.guest("disk.xen", memory=32, disks=[path], cmdline=f"--use=write --area=16 --writes={writes}").create()
    guest.wait_text("written in order", 60)
    happens(guest)
    equal(guest.wait_state("poweroff", "crash", seconds=120), "poweroff", "state")
    guest.close()  # the loop device writes its file
    octets, digest = digest_of(guest)
    equal(octets, 16 * MIB, "octets")
    equal(suite.bed.run(f"sha256sum {path}").split()[0], digest, "SHA-256")


def a_disk_goes_along_when_its_guest_is_saved_and_restored(suite):
    def moves(guest):
        guest.xl("save", "/job/tmp/state", 120)
        equal(guest.state(), "gone", "state after xl save")
        suite.bed.run("xl restore /job/tmp/state; rm /job/tmp/state", 120)
    written_while(suite, moves)


def blkback_is_restarted(suite):
    """Its driver lets go of the disk, and takes it again: what was not answered is asked once more."""
    def restarts(guest):
        driver = "/sys/bus/xen-backend/drivers/vbd"
        device = suite.bed.run(f"ls {driver} | grep '^vbd-{guest.domid()}-'").strip()
        for _ in range(3):
            suite.bed.run(f"echo {device} >{driver}/unbind; echo {device} >{driver}/bind")
            suite.bed.run(f"""n=0; until [ "$(xenstore-read backend/{device.replace("-", "/")}/state)" = 4 ]; do
                usleep 50000; n=$((n + 1)); [ $n -ge 400 ] && exit 1; done; true""")
    written_while(suite, restarts)


def a_read_only_disk_is_explained(suite):
    path = disk_image(suite, "disk", 1)
    guest = suite.guest("disk.xen", memory=16, disks=[f"format=raw,vdev=xvda,access=ro,target={path}"]).create()
    equal(guest.wait_state("poweroff", "crash", seconds=60), "crash", "state")
    check("read-only" in guest.console(), guest.console())


def a_missing_device_is_explained(suite):
    """A guest without the vif that its manifest wants says which, and what to do."""
    guest = suite.guest("echo.xen", memory=16).create()
    equal(guest.wait_state("poweroff", "crash", seconds=60), "crash", "state")
    check(re.search("service", guest.console()) and re.search("vif", guest.console()), guest.console())


CHECKS = [clock_agrees_with_dom0, dom0_finds_what_the_guest_wrote, the_guest_finds_what_dom0_wrote,
          a_disk_goes_along_when_its_guest_is_saved_and_restored, blkback_is_restarted,
          a_read_only_disk_is_explained, a_missing_device_is_explained, echo_gives_back_what_it_gets,
          datagrams_of_every_size_come_back, website_serves_every_page, website_answers_outside_the_bed,
          website_serves_64_connections, a_hundred_mib_down_with_sha256, a_hundred_mib_up_with_sha256,
          ipv6_both_ways_with_sha256, the_website_over_ipv6, names_are_resolved,
          captures_on_the_vif_are_sound, two_vifs_are_two_networks, network_detach_and_attach,
          groups_that_nobody_wants_are_kept_back]
# After everything else: another netback than dom0 came with has to serve what follows.
LAST_CHECKS = [netback_is_restarted]
