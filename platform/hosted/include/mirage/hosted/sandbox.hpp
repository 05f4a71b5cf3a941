// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <expected>
#include <span>
#include <string>

namespace mirage::hosted {

/// A system call that a confined process may still make; the argument's lower 32 bits may have to fit.
struct allowed_call {
    enum class condition : std::uint8_t { none, equals, without_bits };

    unsigned number;
    condition when = condition::none;
    std::uint8_t argument = 0; ///< which of the six
    std::uint32_t value = 0;
};

/// What a system call off the list does.
enum class on_violation : bool { fail, kill };

/// Closes every descriptor from 3 on but those in `kept`: what a parent forgot is not ours to hold.
void close_other_descriptors(std::span<const int> kept);

/// Gives up all capabilities and the way back to them (no_new_privs, bounding set). Of the calling thread and
/// of those that it starts later: call it before there are others.
std::expected<void, std::string> drop_privileges();

/// From here on all threads of this process can make the calls of the list, and no other. Needs
/// drop_privileges().
std::expected<void, std::string> restrict_calls(std::span<const allowed_call> list,
                                                on_violation off_the_list);

} // namespace mirage::hosted
