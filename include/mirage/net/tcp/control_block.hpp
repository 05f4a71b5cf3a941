// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/congestion/concept.hpp"
#include "mirage/net/tcp/ecn.hpp"
#include "mirage/net/tcp/segment.hpp"
#include "mirage/net/tcp/sequence.hpp"
#include <cstdint>
#include <string_view>

namespace mirage::tcp {

/// RFC 9293 section 3.3.2
enum class state : std::uint8_t {
    closed, listen, syn_sent, syn_received, established, fin_wait_1, fin_wait_2, close_wait, closing, last_ack,
    time_wait,
};

constexpr std::string_view name(state s) noexcept {
    constexpr std::string_view names[] = {"CLOSED",     "LISTEN",     "SYN-SENT",   "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
                                          "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",    "LAST-ACK",     "TIME-WAIT"};
    return names[static_cast<unsigned>(s)];
}

/// A span of up to 49 days in half the room: every connection has several.
using milliseconds32 = std::chrono::duration<std::uint32_t, std::milli>;

/// What a connection is told when it is made. Sizes in octets.
struct parameters {
    std::uint16_t mss = 1460;               ///< the largest segment we take: MTU - 40 (RFC 9293 section 3.7.1)
    std::uint8_t keep_alive_probes = 9;
    std::uint8_t syn_retries = 6;           ///< R2 of a SYN: 6 give 127 s; a half-open passive connection uses fewer
    std::uint32_t receive_buffer = 64 * 1024; ///< RCV.BUFF: how much unread text we let the peer send
    bool no_delay = false;                  ///< Nagle off (RFC 9293 section 3.7.4)
    bool keep_alive = false;                ///< RFC 9293 section 3.8.4: off unless asked for
    milliseconds32 keep_alive_idle = std::chrono::hours{2};
    milliseconds32 keep_alive_interval = std::chrono::seconds{75};
    milliseconds32 user_timeout = std::chrono::seconds{120}; ///< R2: at least 100 s (RFC 9293 section 3.8.3)
    /// RFC 9293 section 3.4.2 says two minutes; like other stacks we wait 60 s in all.
    milliseconds32 msl = std::chrono::seconds{30};
};

/// One connection: plain data, under the names of RFC 9293 section 3.3.1. Only input, output, timers and user
/// write it; none of them knows a device, a clock or a coroutine.
template <congestion_control Congestion, class Recovery, class Ecn = no_ecn>
struct control_block {
    using recovery_policy = Recovery;
    using ecn_policy = Ecn;
    tcp::state state = tcp::state::closed;

    struct {
        sequence una{};              ///< oldest unacknowledged
        sequence nxt{};              ///< next to send; goes back to una when the retransmission timer fires
        sequence max{};              ///< highest ever sent, plus one
        sequence iss{};              ///< initial
        sequence end{};              ///< behind the last octet that the user queued (FIN not counted)
        sequence wl1{}, wl2{};       ///< SEG.SEQ and SEG.ACK of the last window update
        sequence limited{};          ///< SND.MAX when congestion control last held text back
        std::uint32_t wnd = 0;       ///< the peer's window, scaled
        std::uint32_t max_wnd = 0;   ///< the largest ever seen: for SWS avoidance and RFC 5961 section 5.2
        std::uint8_t scale = 0;      ///< Snd.Wind.Shift (RFC 7323 section 2.2)
        bool fin = false;            ///< the user closed: a FIN follows snd.end
    } snd{};

    struct {
        sequence nxt{};              ///< next expected
        sequence irs{};              ///< initial
        sequence advertised{};       ///< right edge of the window that the peer knows of
        std::uint32_t buffer = 0;    ///< octets
        std::uint32_t unread = 0;    ///< octets in order that the user has not taken yet
        std::uint8_t scale = 0;      ///< Rcv.Wind.Shift
        bool fin_known = false;      ///< a FIN has been seen, at fin_at; it may be still ahead of nxt
        sequence fin_at{};
        sequence latest{};           ///< begin of the last segment that came ahead of a hole: reported first (RFC 2018 section 4)
        sack_block twice{};          ///< came although it was there: to be reported once, as a D-SACK (RFC 2883 section 4)
    } rcv{};

    std::uint16_t mss = 536;         ///< largest text we send: the peer's MSS option and our MTU (RFC 9293 section 3.7.1)
    std::uint16_t receive_mss = 1460; ///< what we offered, less the timestamps' 12 octets when they are on

    struct {
        bool on = false;             ///< both SYNs carried the option (RFC 7323 section 3.2)
        std::uint32_t recent = 0;    ///< TS.Recent
        instant recent_at{};         ///< when it was taken: older than 24 days does not count (section 5.5)
        sequence last_ack_sent{};    ///< section 4.3
    } timestamps{};

    struct {
        duration srtt{}, rttvar{};
        duration rto = std::chrono::seconds{1}; ///< RFC 6298 section 2.1
        std::uint8_t backoff = 0;    ///< consecutive expiries
        bool measuring = false;      ///< one round trip is being timed (RFC 6298 section 3, Karn)
        sequence measured{};         ///< an ACK behind this ends it
        instant measured_at{};
    } rtt{};

    typename Recovery::state recovery{};
    [[no_unique_address]] typename Ecn::state ecn{};
    bool selective = false;          ///< both SYNs permitted SACK (RFC 2018 section 2)

    struct {
        bool now = false;            ///< one is due at the end of this burst
        bool soon = false;           ///< one is due when delayed_ack_at comes
        std::uint32_t octets = 0;    ///< text taken since the last one was sent
    } ack{};

    struct {
        instant retransmit = never, loss_probe = never, persist = never, delayed_ack = never, keep_alive = never, time_wait = never;
        instant give_up = never;     ///< user timeout, from the first retransmission on
    } at{};

    std::uint8_t persist_backoff = 0, keep_alive_sent = 0;
    bool probe = false;              ///< a window probe is due
    bool keep_alive_due = false;
    bool active_open = false;
    bool orphaned = false;           ///< the user has let go: what remains is an orderly end
    instant last_received{};
    instant last_sent{};

    Congestion congestion{};
    parameters settings{};

    struct {
        std::uint64_t octets_sent = 0, octets_received = 0, octets_acked = 0;
        std::uint32_t retransmits = 0, timeouts = 0, fast_recoveries = 0, duplicate_segments = 0, out_of_order = 0;
        std::uint32_t needless_reductions = 0; ///< of the window, that were undone
    } statistics{};

    /// Octets sent and not acknowledged.
    constexpr std::uint32_t flight() const noexcept { return octets_between(snd.una, snd.nxt); }
    /// What the policy wants to know.
    constexpr congestion_sample sample(std::uint32_t acked, instant now) const noexcept {
        return {.acked = acked, .flight = octets_between(snd.una, snd.max), .mss = mss, .now = now, .srtt = rtt.srtt,
                .limited = before(snd.una, snd.limited)};
    }
    constexpr bool synchronized() const noexcept { return state >= state::established; }
};

} // namespace mirage::tcp
