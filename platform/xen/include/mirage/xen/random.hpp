// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/random.hpp"
#include "mirage/runtime/random.hpp"
#include "mirage/xen/entropy.hpp"
#include "mirage/xen/machine.hpp"
#include "mirage/xen/resume.hpp"

namespace mirage::xen {

/// ChaCha20 over the domain's entropy; seeded again after a resume, because one saved domain can be restored twice.
class random : public runtime::generator<random>, resume_hook {
public:
    template <class Platform>
    explicit random(Platform& home) noexcept
        : resume_hook{[](resume_hook& self) noexcept { static_cast<random&>(self).seed(); }} {
        home.on_resume(*this);
    }
    static instant now() noexcept { return this_machine.now(); }
    static chacha20::key entropy() noexcept { return gather_entropy(); }
};

static_assert(mirage::random_source<random>);

} // namespace mirage::xen
