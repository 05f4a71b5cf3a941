// SPDX-License-Identifier: MIT
#include "mirage/core/sha256.hpp"
#include <doctest/doctest.h>
#include <string>

namespace {

std::string digest_of(std::string_view text, std::size_t step = 1'000'000) {
    mirage::sha256 sum;
    while (!text.empty()) {
        const auto piece = text.substr(0, step);
        sum.update(mirage::as_octets(piece));
        text.remove_prefix(piece.size());
    }
    const auto hex = mirage::to_hex(sum.finish());
    return {hex.data(), hex.size()};
}

} // namespace

TEST_CASE("SHA-256 gives the values of FIPS 180-4's examples") {
    CHECK(digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(digest_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
          == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(digest_of("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
                    "mnopqrstnopqrstu")
          == "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    CHECK(digest_of(std::string(1'000'000, 'a'))
          == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 does not care where the stream is cut, at any length around a block") {
    for (std::size_t length = 0; length < 200; ++length) {
        std::string text;
        for (std::size_t i = 0; i < length; ++i)
            text += static_cast<char>(i * 7);
        const auto whole = digest_of(text);
        for (const std::size_t step : {1u, 3u, 55u, 56u, 63u, 64u, 65u})
            CHECK(digest_of(text, step) == whole);
    }
}
