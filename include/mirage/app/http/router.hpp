// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/response.hpp"
#include "mirage/core/fixed_string.hpp"
#include "mirage/core/task.hpp"
#include <concepts>
#include <tuple>
#include <utility>

namespace mirage::http {

/// Calls a handler of either kind and gives what remains to be awaited, if anything.
///
/// Plain: `void handler(const request&, response&)`, for answers that fit into memory; costs no coroutine.
/// Streaming: `task<> handler(auto& request, auto& response)`: `co_await request.read()`, `co_await response.write(s)`.
/// A streaming handler without memory for its frame is answered with 503.
template <class Handler, class Request, class Response>
task<> invoke(Handler& handler, Request& asked, Response& answer) noexcept {
    if constexpr (std::same_as<std::invoke_result_t<Handler&, Request&, Response&>, void>) {
        handler(asked, answer);
        if (!answer.touched())
            answer.status(status::ok);
        return {};
    } else {
        task<> rest = handler(asked, answer);
        if (!rest && !answer.touched())
            answer.fail(status::service_unavailable);
        return rest;
    }
}

/// How a resource answers the question whether a path is its own.
struct match {
    bool found = false;
    method_set methods{}; ///< what it knows to do
};

/// A path, or with a "*" at its end a prefix, and who answers there.
template <fixed_string Pattern, class Handler>
class route {
    static_assert(Pattern.size() > 0 && Pattern.text[0] == '/', "http::route: a pattern begins with '/'");
    method_set methods_;
    Handler handler_;

public:
    constexpr route(method_set methods, Handler handler) noexcept
        : methods_{methods}, handler_{std::move(handler)} {}

    match matches(std::string_view path) const noexcept {
        constexpr std::string_view pattern = Pattern;
        if constexpr (pattern.back() == '*')
            return {path.starts_with(pattern.substr(0, pattern.size() - 1)), methods_};
        else
            return {path == pattern, methods_};
    }
    template <class Request, class Response>
    task<> operator()(Request& asked, Response& answer) noexcept {
        return invoke(handler_, asked, answer);
    }
};

/// `on<"/upload">(method::put | method::post, handler)`
template <fixed_string Pattern, class Handler>
constexpr auto on(method_set methods, Handler handler) noexcept {
    return route<Pattern, Handler>{methods, std::move(handler)};
}
/// GET and HEAD.
template <fixed_string Pattern, class Handler>
constexpr auto get(Handler handler) noexcept {
    return on<Pattern>(method_set{method::get}, std::move(handler));
}

/// Asks its resources in order; the first that owns the path and knows the method answers. What no resource owns is
/// 404, said by the last resource that knows how (`not_found`); an unknown method 405 with Allow
/// (RFC 9110 section 15.5.6); OPTIONS is answered for all (section 9.3.7).
///
/// A resource has `match matches(std::string_view path)` and `task<> operator()(request&, response&)`.
template <class... Resources>
class router {
    std::tuple<Resources...> resources_;

    /// What the resource of this path does not do. The head is finished here, while the text of Allow lives.
    static void refuse(method_set allowed, const request& asked, response& answer) noexcept {
        std::array<char, 64> room{};
        if (asked.method() == method::options)
            answer.status(status::no_content);
        else
            answer.fail(status::method_not_allowed);
        answer.field("Allow", allow_list(allowed | method::options, room)).finish();
    }

    /// A method that is all about content, and no word about where the content ends (RFC 9110 section 15.5.12).
    static bool lacks_length(const request& asked) noexcept {
        const auto m = asked.method();
        return (m == method::post || m == method::put || m == method::patch) && !asked.head().has_length
               && !asked.head().chunked;
    }

    template <class Request, class Response>
    void not_found(Request& asked, Response& answer) noexcept {
        const bool said = std::apply(
            [&](auto&... resource) {
                const auto one = [&](auto& r) {
                    if constexpr (requires { r.not_found(asked, answer); })
                        return r.not_found(asked, answer);
                    else
                        return false;
                };
                return (one(resource) || ...);
            },
            resources_);
        if (!said)
            answer.fail(status::not_found);
    }

public:
    explicit constexpr router(Resources... resources) noexcept : resources_{std::move(resources)...} {}

    template <class Request, class Response>
    task<> operator()(Request& asked, Response& answer) noexcept {
        task<> rest;
        method_set allowed;
        const auto path = asked.path();
        const auto ask = [&](auto& resource) {
            const match m = resource.matches(path);
            if (!m.found)
                return false;
            allowed |= m.methods;
            if (!m.methods.contains(asked.method()))
                return false;
            if (lacks_length(asked))
                answer.fail(status::length_required);
            else
                rest = resource(asked, answer);
            return true;
        };
        if (path == "*") {
            if (asked.method() == method::options)
                refuse(method::get, asked, answer);
            else
                answer.fail(status::bad_request); // RFC 9112 section 3.2.4
            return rest;
        }
        const bool answered = std::apply([&](auto&... resource) { return (ask(resource) || ...); }, resources_);
        if (!answered && !allowed.empty())
            refuse(allowed, asked, answer);
        else if (!answered)
            not_found(asked, answer);
        return rest;
    }
};

} // namespace mirage::http
