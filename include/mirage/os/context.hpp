// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/log.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/os/stop.hpp"

namespace mirage::os {

/// What an application runs in. Lives as long as the application does.
struct context {
    scheduler& loop;
    nursery& tasks; ///< for what runs beside run(): one task per connection, per service
    log_source log; ///< speaks under the application's name
    stop_signal& stop; ///< the machine is asked to end; platforms that cannot be asked never give it
};

} // namespace mirage::os
