#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in dom0, with the guest "suspends" running: saves and restores it, then saves it once more and lets it go on where
# it is. The guest knows nothing of the store, so what a guest answers there is answered here. 0: it said SUCCESS.
. /lib/xenbed.sh
[ -x /job/libxl-save-helper ] && export LIBXL_SAVE_HELPER=/job/libxl-save-helper

answer() {
    path=/local/domain/$(guest_domid)/control/shutdown
    ( n=0
      while [ $n -lt 200 ]; do
          [ "$(xenstore-read "$path" 2>/dev/null)" = suspend ] && { xenstore-write "$path" ""; break; }
          usleep 20000; n=$((n + 1))
      done ) &
}

guest_wait_text 'round 0: ready' 20 || { echo "FAILED: the guest is not ready"; exit 1; }
answer
xl save $GUEST_NAME /run/state >/run/save.log 2>&1 || { cat /run/save.log; echo "FAILED: xl save"; exit 1; }
sleep 1
xl restore /run/state >/run/save.log 2>&1 || { cat /run/save.log; echo "FAILED: xl restore"; exit 1; }
rm -f /run/state
guest_wait_text 'round 0: goes on elsewhere' 10 || { echo "FAILED: it did not go on elsewhere"; exit 1; }
guest_wait_text 'round 1: ready' 10 || { echo "FAILED: the guest is not ready again"; exit 1; }
answer
xl save -c $GUEST_NAME /run/state >/run/save.log 2>&1 || { cat /run/save.log; echo "FAILED: xl save -c"; exit 1; }
rm -f /run/state
guest_wait_text 'round 1: goes on here' 10 || { echo "FAILED: it did not go on here"; exit 1; }
guest_wait_end 20 || { echo "FAILED: $(guest_state)"; exit 1; }
guest_wait_text SUCCESS 5
