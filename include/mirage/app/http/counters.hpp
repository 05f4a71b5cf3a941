// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/metrics.hpp"
#include <array>

namespace mirage::http {

/// What a server counts.
struct counters {
    std::array<counter, 6> responses{}; ///< by the hundreds of the status; [0] is not used
    counter connections{};              ///< accepted
    counter content{};                  ///< octets of content sent
    counter timeouts{};                 ///< connections that ended because the peer was too slow
    counter starved{};                  ///< times a response had to wait for a page
    gauge open{};                       ///< connections now

    /// Puts all of them into `registry`, which must not outlive this.
    template <std::size_t Room>
    void publish(metrics<Room>& registry) noexcept {
        static constexpr std::array<const char*, 4> classes{"code=\"2xx\"", "code=\"3xx\"", "code=\"4xx\"",
                                                            "code=\"5xx\""};
        for (std::size_t i = 0; i < classes.size(); ++i)
            registry.add("http_responses_total", "Responses sent, by class of status.", responses[i + 2], classes[i]);
        registry.add("http_connections_total", "Connections accepted.", connections);
        registry.add("http_content_octets_total", "Octets of content sent.", content);
        registry.add("http_timeouts_total", "Connections cut because the peer was too slow.", timeouts);
        registry.add("http_starved_total", "Times a response had to wait for a page of memory.", starved);
        registry.add("http_connections_open", "Connections now.", open);
    }
};

} // namespace mirage::http
