// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/conditional.hpp"
#include "mirage/app/http/date.hpp"
#include "mirage/app/http/range.hpp"
#include "mirage/app/http/router.hpp"
#include "mirage/core/line.hpp"
#include <span>

namespace mirage::http {

/// One form of a file (RFC 9110 section 8.8: what its ETag names): as it is, or compressed. All of it is static data
/// that tools/embed.py made.
struct representation {
    octets body{};
    std::string_view etag{};   ///< strong, with its quotes
    /// Everything a 200 says behind Date, to the empty line. In order: Content-Type and Content-Encoding; what goes
    /// with a 304 too (RFC 9110 section 15.4.5); Content-Length and the empty line.
    std::string_view fields{};
    std::uint16_t common_at = 0, length_at = 0; ///< where the second and the third part begin

    constexpr bool exists() const noexcept { return !fields.empty(); }
    constexpr std::string_view type_fields() const noexcept { return fields.substr(0, common_at); }
    constexpr std::string_view common_fields() const noexcept {
        return fields.substr(common_at, length_at - common_at);
    }
};

/// What is behind one path.
struct static_file {
    std::string_view path{};
    std::string_view location{};  ///< where to send the client instead; empty for a file
    representation identity{}, gzip{}, brotli{};
    unix_seconds modified = 0;    ///< 0: unknown
};

/// FNV-1a with a seed and a final mix: the hash of tools/embed.py, which looks for a seed without collisions.
constexpr std::uint32_t path_hash(std::string_view path, std::uint32_t seed) noexcept {
    std::uint32_t h = seed ^ 0x811c9dc5u;
    for (const char c : path)
        h = (h ^ static_cast<unsigned char>(c)) * 0x01000193u;
    return h ^ h >> 15;
}

/// A folder in the image. `slots` maps path_hash() modulo its size, a power of two, to an index of `files`;
/// 0xffff: none. No two files share a slot.
struct static_site {
    std::span<const static_file> files{};
    std::span<const std::uint16_t> slots{};
    std::uint32_t seed = 0;
    const static_file* not_found = nullptr; ///< the page that goes with 404

    constexpr const static_file* find(std::string_view path) const noexcept {
        if (slots.empty())
            return nullptr;
        const auto slot = slots[path_hash(path, seed) & (slots.size() - 1)];
        return slot < files.size() && files[slot].path == path ? &files[slot] : nullptr;
    }
};

namespace detail {

/// The form that the client likes best; of those it likes alike, the smallest (RFC 9110 section 12.5.3).
inline const representation& select(const static_file& file, const request& asked) noexcept {
    if (!asked.head().has_accept_encoding || (!file.gzip.exists() && !file.brotli.exists()))
        return file.identity;
    const auto& codings = asked.head().codings;
    const representation* best = &file.identity;
    int weight = codings.weight_of_identity();
    const auto offer = [&](const representation& r, int w) {
        if (r.exists() && w > 0 && (w > weight || (w == weight && r.body.size() < best->body.size()))) {
            best = &r;
            weight = w;
        }
    };
    offer(file.gzip, codings.weight_of_gzip());
    offer(file.brotli, codings.weight_of_brotli());
    return *best;
}

/// "10-19/256" (RFC 9110 section 14.4).
inline void put_range(line_builder& out, const octet_range& r, std::size_t size) noexcept {
    out << r.first << '-' << r.first + r.size - 1 << '/' << size;
}

/// Several parts as multipart/byteranges (RFC 9110 section 14.6).
inline void send_parts(response& answer, const representation& r, const range_set& ranges) noexcept {
    // No content can know the digest of itself: the ETag, without its quotes, makes a boundary that is not inside.
    const auto boundary = r.etag.substr(1, r.etag.size() - 2);
    constexpr std::string_view type_name{"Content-Type: "};
    const auto type = r.type_fields().substr(0, r.type_fields().find("\r\n") + 2);
    for (std::size_t i = 0; i < ranges.count; ++i) {
        const auto& one = ranges.range[i];
        line<64> where;
        put_range(where, one, r.body.size());
        answer.text({"\r\n--", boundary, "\r\n", type, "Content-Range: bytes ", where.view(), "\r\n\r\n"});
        answer.body(slice::of_static(r.body.subspan(one.first, one.size)));
    }
    answer.text({"\r\n--", boundary, "--\r\n"});
    const auto coding = r.type_fields().substr(type.size());
    line<24> length;
    length << answer.content_size();
    answer.raw_head(status::partial_content,
                    {type_name, "multipart/byteranges; boundary=", boundary, "\r\n", coding, r.common_fields(),
                  "Content-Length: ", length.view(), "\r\n\r\n"});
}

} // namespace detail

namespace detail {

/// Whether a line of the field `f`, in lower case `name`, lists the tag. Several lines are one list.
inline bool lists_tag_of(const request& asked, field_name f, std::string_view name, std::string_view etag,
                         bool weak) noexcept {
    if (!asked.head().is_repeated(f))
        return lists_tag(asked.field(f), etag, weak);
    bool found = false;
    asked.for_each_line(name, [&](std::string_view value) { return !(found = lists_tag(value, etag, weak)); });
    return found;
}

/// What the field says when it is there once and is a date.
inline std::optional<unix_seconds> date_of(const request& asked, field_name f, unix_seconds now) noexcept {
    if (!asked.has(f) || asked.head().is_repeated(f))
        return std::nullopt;
    return parse_date(asked.field(f), now);
}

/// The answer to a conditional request or one for ranges; false: it is the whole representation after all.
inline bool send_if(const request& asked, response& answer, const static_file& file,
                    const representation& r) noexcept {
    // 1 and 2: If-Match, or else If-Unmodified-Since
    const bool dated = file.modified != 0;
    bool failed = false;
    if (asked.has(field_name::if_match)) {
        failed = !lists_tag_of(asked, field_name::if_match, "if-match", r.etag, false);
    } else if (dated) {
        const auto date = date_of(asked, field_name::if_unmodified_since, answer.now());
        failed = date && file.modified > *date;
    }
    if (failed) {
        answer.fail(status::precondition_failed);
        return true;
    }
    // 3 and 4: If-None-Match, or else If-Modified-Since
    bool unchanged = false;
    if (asked.has(field_name::if_none_match)) {
        unchanged = lists_tag_of(asked, field_name::if_none_match, "if-none-match", r.etag, true);
    } else if (dated) {
        const auto date = date_of(asked, field_name::if_modified_since, answer.now());
        unchanged = date && file.modified <= *date;
    }
    if (unchanged) {
        answer.raw(status::not_modified, {r.common_fields(), "\r\n"});
        return true;
    }
    // 5: Range, which is for GET alone, if If-Range lets it
    if (!asked.has(field_name::range) || asked.head().is_repeated(field_name::range) || asked.method() != method::get)
        return false;
    if (asked.has(field_name::if_range)) {
        const auto value = asked.field(field_name::if_range);
        bool same = dated;
        if (value.starts_with('"')) // the strong comparison: W/"x" never matches
            same = !asked.head().is_repeated(field_name::if_range) && value == r.etag;
        else if (dated)
            same = date_of(asked, field_name::if_range, answer.now()) == file.modified;
        if (!same)
            return false;
    }
    const auto ranges = parse_range(asked.field(field_name::range), r.body.size());
    if (ranges.kind == range_set::outcome::ignore)
        return false;
    line<64> where;
    line<24> length;
    if (ranges.kind == range_set::outcome::unsatisfiable) {
        length << r.body.size();
        answer.raw(status::range_not_satisfiable,
                   {"Content-Range: bytes */", length.view(), "\r\n", r.common_fields(), "Content-Length: 0\r\n\r\n"});
    } else if (ranges.count == 1) {
        const auto& one = ranges.range[0];
        put_range(where, one, r.body.size());
        length << one.size;
        answer.raw(status::partial_content,
                   {r.type_fields(), r.common_fields(), "Content-Range: bytes ", where.view(), "\r\nContent-Length: ",
                    length.view(), "\r\n\r\n"},
                   slice::of_static(r.body.subspan(one.first, one.size)));
    } else {
        send_parts(answer, r, ranges);
    }
    return true;
}

} // namespace detail

/// Answers GET or HEAD with a file: conditional requests in the order of RFC 9110 section 13.2.2, then ranges.
inline void send_file(const request& asked, response& answer, const static_file& file) noexcept {
    if (!file.location.empty()) {
        answer.raw(status::moved_permanently, {"Location: ", file.location, "\r\nContent-Length: 0\r\n\r\n"});
        return;
    }
    const representation& r = detail::select(file, asked);
    constexpr auto bit = [](field_name f) { return 1u << static_cast<unsigned>(f); };
    constexpr unsigned conditions = bit(field_name::if_match) | bit(field_name::if_none_match)
                                    | bit(field_name::if_modified_since) | bit(field_name::if_unmodified_since)
                                    | bit(field_name::range);
    if ((asked.head().seen & conditions) == 0 || !detail::send_if(asked, answer, file, r))
        answer.raw(status::ok, {r.fields}, slice::of_static(r.body));
}

/// The files of a site as a resource of a router.
class files {
    const static_site* site_;

public:
    explicit constexpr files(const static_site& site) noexcept : site_{&site} {}

    match matches(std::string_view path) const noexcept {
        found_ = site_->find(path);
        return {found_ != nullptr, method::get};
    }
    template <class Request, class Response>
    task<> operator()(Request& asked, Response& answer) noexcept {
        send_file(asked, answer, *found_);
        return {};
    }
    template <class Request, class Response>
    bool not_found(Request&, Response& answer) const noexcept {
        if (site_->not_found == nullptr)
            return false;
        const representation& r = site_->not_found->identity;
        answer.raw(status::not_found,
                   {r.type_fields(), r.fields.substr(r.length_at)},
                   slice::of_static(r.body));
        return true;
    }

private:
    mutable const static_file* found_ = nullptr; ///< between matches() and the call that follows it at once
};

} // namespace mirage::http
