// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/core/task.hpp"
#include "mirage/os/banner.hpp"
#include "mirage/os/context.hpp"
#include "mirage/os/device_list.hpp"
#include "mirage/os/key_parser.hpp"
#include "mirage/os/log_key.hpp"
#include <algorithm>
#include <array>
#include <boost/hana/for_each.hpp>
#include <concepts>

namespace mirage::os {

namespace detail {

/// What an application calls itself; "unikernel" when it does not say.
template <class App>
constexpr std::string_view name_of() noexcept {
    if constexpr (requires { App::name; })
        return App::name;
    else
        return "unikernel";
}

/// One line about what it does, for --help.
template <class App>
constexpr std::string_view summary_of() noexcept {
    if constexpr (requires { App::summary; })
        return App::summary;
    else
        return {};
}

struct no_options {};

template <class App>
struct options_of {
    using type = no_options;
};
template <class App>
requires requires {
    typename App::options;
}
struct options_of<App> {
    using type = typename App::options;
};

/// What the boot keys of App set: its options, and the levels of its log where it lists the log_key.
template <class App>
using chosen_by = std::conditional_t<has_log_key<App>(), with_levels<typename options_of<App>::type>,
                                     typename options_of<App>::type>;

/// The sources that App's log has, as far as it tells; its own name is the first.
template <class App>
constexpr auto log_sources_of() noexcept {
    if constexpr (requires { App::log_sources; }) {
        std::array<std::string_view, 1 + App::log_sources.size()> all{name_of<App>()};
        std::ranges::copy(App::log_sources, all.begin() + 1);
        return all;
    } else {
        return std::array{name_of<App>()};
    }
}

/// Reads the boot keys of `App` into `options`.
template <class App, class Options>
[[gnu::cold]] parsed read_keys(std::string_view command_line, Options& options, octet_sink out) noexcept {
    if constexpr (requires { App::keys; }) {
        static constexpr auto& table = key_table<Options, App::keys>;
        static_assert(names_are_good(table),
                      "a boot key's name has to be lower-case letters, digits and hyphens");
        static_assert(names_differ(table), "two boot keys have the same name");
        static constexpr Options defaults{};
        return key_parser{name_of<App>(), summary_of<App>(), table, out}.parse(command_line, &options,
                                                                               &defaults);
    } else {
        return expect_no_keys(name_of<App>(), command_line, out);
    }
}

/// Opens the devices in order, up to the first that fails; it has said why.
template <class Devices>
[[gnu::cold]] bool open_all(Devices& devices) noexcept {
    bool good = true;
    hana::for_each(devices, [&](auto& device) {
        if constexpr (requires { device.open(); })
            good = good && device.open().has_value();
    });
    return good;
}

/// Turns the loop until `done`. Everything that depends on the set of devices is generated here. Not inlined
/// into what runs once, which is made small ("cold") rather than fast.
template <class Platform, class Clock, class Devices>
[[gnu::noinline, gnu::hot]] void turn_until(const bool& done, Platform& platform, const Clock& clock,
                                            Devices& devices) noexcept {
    scheduler& loop = platform.loop();
    while (!done) {
        // Ready work first, but a task that keeps posting itself must not keep frames from coming in.
        for (unsigned pass = 0; pass < 64 && !done && loop.run_ready(); ++pass) {
        }
        if (done)
            break;
        hana::for_each(devices, [](auto& device) {
            if constexpr (netif<std::remove_reference_t<decltype(device)>>)
                device.flush();
        });
        const std::uint64_t ready = platform.wait(loop.idle() ? loop.next_deadline() : instant::min());
        loop.advance(clock.now());
        hana::for_each(devices, [&](auto& device) {
            if constexpr (requires { device.readable().set(); device.ready_bit(); }) // else wait() has set its event
                if ((ready >> device.ready_bit() & 1) != 0)
                    device.readable().set();
        });
    }
}

/// Runs `App::run` with as much of (context, options) as it takes.
template <class App, class Options>
auto call(App& app, context& ctx, const Options& options) noexcept {
    if constexpr (requires { app.run(ctx, options); })
        return app.run(ctx, options);
    else
        return app.run(ctx);
}

/// An application that waits for something: a coroutine, the loop, and the tasks beside it.
template <class App, class Platform, class Devices, class Clock, class Options>
[[gnu::cold]] int run_task(Platform& platform, Devices& devices, App& app, const Clock& clock, octet_sink out,
                           const Options& options) noexcept {
    scheduler& loop = platform.loop();
    loop.advance(clock.now());
    log_output log{loop, out};
    if constexpr (has_log_key<App>())
        log.levels(options.levels);
    nursery tasks{loop};
    stop_signal stop{loop};
    context ctx{loop, tasks, log_source{log, name_of<App>()}, stop};
    auto main = call(app, ctx, options);
    check(static_cast<bool>(main), "os::run: no memory for the application's task");
    if constexpr (requires { platform.obey_toolstack(stop); }) // one that can ask a guest to end, or to move
        platform.obey_toolstack(stop);
    bool done = false;
    main.start([](void* flag) noexcept { *static_cast<bool*>(flag) = true; }, &done);
    turn_until(done, platform, clock, devices);
    if constexpr (std::same_as<decltype(main), task<int>>)
        return main.take();
    else
        return 0;
}

} // namespace detail

/// Runs the application on the platform: builds its devices, reads its boot keys, opens the devices, says
/// hello, and turns the loop until the application's run() ends. Returns the exit status: what run()
/// returned, 0 after --help, 1 when a key was wrong or a device could not be opened.
///
/// `App::run` is `task<int>` or `task<>` of (context&) or (context&, const options&); or `int` of () for an
/// application that never waits: then no loop, timer or coroutine is in the image.
template <class App, class Platform>
[[gnu::cold]] int run(Platform& platform) noexcept {
    using list = device_list<App>;
    using options_type = detail::chosen_by<App>;

    if constexpr (requires { platform.declare(list::manifest); }) // a platform with options of its own
        if (!platform.declare(list::manifest))
            return 1;
    typename Platform::console console{platform};
    const octet_sink out{console};
    options_type options{};
    if (const parsed p = detail::read_keys<App>(platform.command_line(), options, out); p != parsed::run)
        return p == parsed::help ? 0 : 1;
    if constexpr (detail::has_log_key<App>()) {
        static constexpr auto known = detail::log_sources_of<App>();
        if (!detail::explain(options.levels, known, out))
            return 1;
    }

    const typename Platform::clock clock{platform};
    auto devices = hana::unpack(list::types, [&](auto... type) {
        return typename list::storage{(static_cast<void>(type), platform)...};
    });
    if (!detail::open_all(devices))
        return 1;
    print_banner(detail::name_of<App>(), Platform::name, clock, devices, out);

    App app = hana::unpack(devices, [](auto&... device) { return App{device...}; });
    if constexpr (requires {
                      { app.run() } -> std::same_as<int>;
                  })
        return app.run();
    else
        return detail::run_task<App>(platform, devices, app, clock, out, options);
}

} // namespace mirage::os
