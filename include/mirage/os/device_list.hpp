// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/block.hpp"
#include "mirage/device/clock.hpp"
#include "mirage/device/console.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/device/random.hpp"
#include <array>
#include <boost/hana/all_of.hpp>
#include <boost/hana/count_if.hpp>
#include <boost/hana/equal.hpp>
#include <boost/hana/filter.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/set.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>
#include <boost/hana/unpack.hpp>
#include <string_view>

namespace mirage::os {

namespace hana = boost::hana;

/// The kinds of device that have an instance of their own outside: an interface, a disk.
enum class device_kind : std::uint8_t { netif, block };

/// One named device of an application, as its platform has to provide it.
struct device_entry {
    device_kind kind{};
    std::string_view name{}; ///< the template argument of `platform::netif<"service">`
};

namespace detail {

inline constexpr auto is_netif = [](auto type) { return hana::bool_c<netif<typename decltype(type)::type>>; };
inline constexpr auto is_block = [](auto type) { return hana::bool_c<block<typename decltype(type)::type>>; };
inline constexpr auto is_device = [](auto type) {
    using device = typename decltype(type)::type;
    constexpr bool known =
        netif<device> || block<device> || console<device> || clock<device> || random_source<device>;
    return hana::bool_c<known>;
};

template <class Device>
constexpr device_entry entry_of() noexcept {
    return {netif<Device> ? device_kind::netif : device_kind::block, Device::name};
}

/// What Solo5's manifest takes for a name: 1 to 67 letters and digits.
template <std::size_t N>
constexpr bool names_fit(const std::array<device_entry, N>& all) noexcept {
    for (const device_entry& e : all) {
        if (e.name.empty() || e.name.size() > 67)
            return false;
        for (const char c : e.name)
            if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
                return false;
    }
    return true;
}

template <std::size_t N>
constexpr bool names_differ(const std::array<device_entry, N>& all) noexcept {
    for (std::size_t i = 0; i < N; ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (all[i].name == all[j].name)
                return false;
    return true;
}

} // namespace detail

/// The devices that an application is made over: the template arguments of `App`, checked.
template <class App>
struct device_list;

template <template <class...> class App, class... Devices>
struct device_list<App<Devices...>> {
    static constexpr auto types = hana::tuple_t<Devices...>;

    static_assert(hana::value(hana::length(hana::to_set(types)) == hana::length(types)),
                  "the application lists a device twice; give the second one another name");
    static_assert(
        hana::value(hana::all_of(types, detail::is_device)),
        "a template argument of the application is not a device: it models none of netif, block, console, "
        "clock and random_source");

    /// The devices that the world outside has to provide, in the application's order.
    static constexpr auto named = hana::filter(types, [](auto type) {
        constexpr bool is_named =
            decltype(detail::is_netif(type))::value || decltype(detail::is_block(type))::value;
        return hana::bool_c<is_named>;
    });

    /// What goes into the platform's manifest: one entry per element of `named`.
    static constexpr auto manifest = hana::unpack(named, [](auto... type) {
        return std::array<device_entry, sizeof...(type)>{
            detail::entry_of<typename decltype(type)::type>()...};
    });
    static_assert(detail::names_fit(manifest), "the name of a network interface or disk has to be 1 to 67 letters and digits");
    static_assert(detail::names_differ(manifest),
                  "a network interface and a disk of the application have the same name; give one of them another");

    /// Builds every device from the platform and holds it.
    using storage = hana::tuple<Devices...>;

    static constexpr bool has_netif = !hana::value(hana::filter(types, detail::is_netif) == hana::tuple<>{});
};

} // namespace mirage::os
