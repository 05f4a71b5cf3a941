// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/xen/public.hpp"
#include <cstdint>
#include <type_traits>

/// boot.S. The arguments that a hypercall does not have are not looked at.
extern "C" long mirage_xen_hypercall(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d,
                                     std::uint64_t e, unsigned number) noexcept;

namespace mirage::xen {

/// Guest memory is mapped where it is: the address of something is its physical address, too (layout.h has the three
/// pages for which that is not so).
inline std::uint64_t address_of(const void* p) noexcept { return reinterpret_cast<std::uintptr_t>(p); }

/// The guest frame number of the page that `p` points into.
inline std::uint64_t frame_of(const void* p) noexcept { return address_of(p) >> 12; }

namespace detail {
template <class T>
std::uint64_t word(T value) noexcept {
    if constexpr (std::is_pointer_v<T>)
        return address_of(value);
    else
        return static_cast<std::uint64_t>(value);
}
} // namespace detail

/// Calls Xen. What it returns: zero or more, or the negative of an XEN_E number.
template <class A = int, class B = int, class C = int, class D = int>
[[gnu::always_inline]] inline long hypercall(unsigned number, A a = {}, B b = {}, C c = {}, D d = {}) noexcept {
    return mirage_xen_hypercall(detail::word(a), detail::word(b), detail::word(c), detail::word(d), 0, number);
}

inline long memory_op(unsigned command, void* argument) noexcept {
    return hypercall(__HYPERVISOR_memory_op, command, argument);
}
inline long event_channel_op(unsigned command, void* argument) noexcept {
    return hypercall(__HYPERVISOR_event_channel_op, command, argument);
}
inline long sched_op(unsigned command, void* argument) noexcept {
    return hypercall(__HYPERVISOR_sched_op, command, argument);
}
inline long grant_table_op(unsigned command, void* arguments, unsigned count) noexcept {
    return hypercall(__HYPERVISOR_grant_table_op, command, arguments, count);
}
inline long hvm_op(unsigned command, void* argument) noexcept {
    return hypercall(__HYPERVISOR_hvm_op, command, argument);
}

/// What went wrong, in the vocabulary of the layers above.
constexpr errc error_of(long returned) noexcept {
    switch (-returned) {
    case XEN_ENOENT: return errc::not_found;
    case XEN_EINVAL: return errc::invalid_argument;
    case XEN_ENOMEM:
    case XEN_ENOSPC: return errc::no_buffers;
    case XEN_EBUSY:
    case XEN_EEXIST: return errc::in_use;
    case XEN_ENOSYS:
    case XEN_EOPNOTSUPP: return errc::unsupported;
    default: return errc::io;
    }
}

/// One of the numbers that the toolstack hands the domain (HVM_PARAM_*); 0 when it has none.
inline std::uint64_t hvm_param(std::uint32_t index) noexcept {
    xen_hvm_param argument{.domid = DOMID_SELF, .pad = 0, .index = index, .value = 0};
    return hvm_op(HVMOP_get_param, &argument) == 0 ? argument.value : 0;
}

/// Puts a page of Xen's in place of the RAM page `frame`, which Xen takes back.
inline result<> map_xen_page(unsigned space, std::uint64_t index, std::uint64_t frame) noexcept {
    xen_add_to_physmap argument{.domid = DOMID_SELF, .size = 0, .space = space, .idx = index, .gpfn = frame};
    if (const long r = memory_op(XENMEM_add_to_physmap, &argument); r != 0)
        return std::unexpected(error_of(r));
    return {};
}

/// Ends the domain for one of the SHUTDOWN_ reasons.
[[noreturn]] inline void shut_down(unsigned reason) noexcept {
    sched_shutdown argument{.reason = reason};
    for (;;)
        sched_op(SCHEDOP_shutdown, &argument);
}

} // namespace mirage::xen
