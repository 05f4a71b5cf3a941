# SPDX-License-Identifier: MIT
"""The store, as the guest sees it and as dom0 does."""

from suite import check, equal


def ping(suite, guest, word, seconds=30):
    """Writes a word where the guest looks, and waits for it to come back."""
    path = f"/local/domain/{guest.domid()}/data"
    suite.bed.run(f"""xenstore-write {path}/ping {word}
        n=0; until [ "$(xenstore-read {path}/pong 2>/dev/null)" = {word} ]; do
            usleep 100000; n=$((n + 1)); [ $n -ge {seconds * 10} ] && exit 1
        done; true""", seconds + 30)


def announces(suite, guest):
    """What the guest obeys is announced."""
    for feature in ("poweroff", "reboot", "suspend"):
        said = suite.bed.run(f"xenstore-read /local/domain/{guest.domid()}/control/feature-{feature}")
        equal(said.strip(), "1", f"control/feature-{feature}")


def the_store_does_all_that_it_is_asked(suite):
    """guest/store.cpp: operations, long messages, transactions and watches; then answers, before and after a move; then
    it is asked to end, and does so by itself."""
    guest = suite.guest("guest-store.xen", "store", memory=8).create()
    guest.wait_text("READY", 60)
    check("name: store" in guest.console(), guest.console())
    for word in ("one", "two", "three"):
        ping(suite, guest, word)
    announces(suite, guest)
    guest.xl("save", "/job/tmp/state", 120)
    suite.bed.run("xl restore /job/tmp/state", 120)
    for word in ("four", "five"):
        ping(suite, guest, word)
    announces(suite, guest)
    suite.bed.run(f"xenstore-write /local/domain/{guest.domid()}/control/shutdown nonsense")
    ping(suite, guest, "six")
    equal(suite.bed.run(f"xenstore-read /local/domain/{guest.domid()}/control/shutdown").strip(), "",
          "an unknown request is acknowledged")
    guest.xl("reboot")
    equal(guest.wait_state("poweroff", "reboot", "crash"), "reboot", "state")
    said = guest.console()
    check("asked to end" in said and "SUCCESS" in said and "FAILED" not in said, said)


CHECKS = [the_store_does_all_that_it_is_asked]
