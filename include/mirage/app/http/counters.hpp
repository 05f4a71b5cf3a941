// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/statistics.hpp"
#include <array>

namespace mirage::http {

/// What a server counts.
struct counters {
    std::array<counter, 5> responses{}; ///< by the hundreds of the status, from 1 on
    counter connections{};              ///< accepted
    counter content{};                  ///< octets of content sent
    counter timeouts{};                 ///< connections that ended because the peer was too slow
    counter starved{};                  ///< times a response had to wait for a page
    gauge open{};                       ///< connections now

    static constexpr auto table() noexcept {
        using c = counters;
        return statistics_table{
            "http_",
            statistic{&c::responses, 0, "responses", "Responses sent, by class of status.", "code=\"1xx\""},
            statistic{&c::responses, 1, "responses", "", "code=\"2xx\""},
            statistic{&c::responses, 2, "responses", "", "code=\"3xx\""},
            statistic{&c::responses, 3, "responses", "", "code=\"4xx\""},
            statistic{&c::responses, 4, "responses", "", "code=\"5xx\""},
            statistic{&c::connections, "connections", "Connections accepted."},
            statistic{&c::content, "content_octets", "Octets of content sent."},
            statistic{&c::timeouts, "timeouts", "Connections cut because the peer was too slow."},
            statistic{&c::starved, "starved", "Times a response had to wait for a page of memory."},
            statistic{&c::open, "connections_open", "Connections now."}};
    }
};

} // namespace mirage::http
