// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/intrusive_list.hpp"

namespace mirage::xen {

/// Something to be done when the domain was suspended and goes on elsewhere (`xl restore`, `xl migrate`): every event
/// channel and every grant of before is gone by then, nothing else is. The hooks run in the order in which they were
/// enrolled (platform::on_resume), outside of any coroutine; one that dies is withdrawn.
class resume_hook : public list_hook {
    void (*resumed_)(resume_hook&) noexcept;

public:
    explicit constexpr resume_hook(void (*action)(resume_hook&) noexcept) noexcept : resumed_{action} {}
    void resumed() noexcept { resumed_(*this); }
};

} // namespace mirage::xen
