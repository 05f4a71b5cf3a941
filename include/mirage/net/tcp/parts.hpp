// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/congestion/bbr.hpp"
#include "mirage/net/tcp/congestion/cubic.hpp"
#include "mirage/net/tcp/congestion/paced.hpp"
#include "mirage/net/tcp/congestion/reno.hpp"
#include "mirage/net/tcp/ecn.hpp"
#include "mirage/net/tcp/recovery/newreno.hpp"
#include "mirage/net/tcp/recovery/rack.hpp"
#include <type_traits>

namespace mirage::tcp {

/// How losses are found and repaired.
template <class T>
concept loss_recovery = requires {
    typename T::state;
    { T::selective } -> std::convertible_to<bool>;
};

/// Something that TCP does when it is listed.
template <class T>
concept feature = requires { typename T::tcp_feature; };

/// A listener whose backlog is full answers with cookies instead of forgetting somebody: syn_cookie.hpp.
struct syn_cookies {
    using tcp_feature = void;
};

/// Segments become smaller when a router says that they do not fit, or when nobody acknowledges large ones: path_mtu.hpp.
struct path_mtu_discovery {
    using tcp_feature = void;
};

namespace detail {

template <template <class> class Is, class Default, class... Parts>
struct first_that {
    using type = Default;
};
template <template <class> class Is, class Default, class Part, class... Rest>
struct first_that<Is, Default, Part, Rest...> : first_that<Is, Default, Rest...> {};
template <template <class> class Is, class Default, class Part, class... Rest>
    requires Is<Part>::value
struct first_that<Is, Default, Part, Rest...> {
    using type = Part;
};

template <class T>
using controls_congestion = std::bool_constant<congestion_control<T>>;
template <class T>
using recovers = std::bool_constant<loss_recovery<T>>;

} // namespace detail

/// What TCP is made of, in any order: a congestion control (`cubic` when none is listed), a loss recovery (`rack`), and features.
template <class... Parts>
struct composition {
    static_assert(((congestion_control<Parts> || loss_recovery<Parts> || feature<Parts>) && ...),
                  "tcp: a part is neither a congestion control, nor a loss recovery, nor a feature of TCP");
    static_assert((0 + ... + int{congestion_control<Parts>}) <= 1, "tcp: two congestion controls are listed");
    static_assert((0 + ... + int{loss_recovery<Parts>}) <= 1, "tcp: two loss recoveries are listed");
    using congestion = typename detail::first_that<detail::controls_congestion, cubic, Parts...>::type;
    using recovery = typename detail::first_that<detail::recovers, rack, Parts...>::type;
    using notification = std::conditional_t<(std::is_same_v<ecn, Parts> || ...), ecn, no_ecn>;
    template <feature F>
    static constexpr bool has = (std::is_same_v<F, Parts> || ...);
};

} // namespace mirage::tcp
