// SPDX-License-Identifier: MIT
#pragma once
#include "ring_0.hpp"

namespace mirage::tender {

/// Control registers (Intel SDM vol. 3A, Control Registers). What ring 3 depends on is passed on to the processor: whether
/// there is an FPU, SSE, XSAVE, RDFSBASE. What is about ring 0 is kept to be read.
verdict read_control_register(standing_guest& g, const instruction& i);
verdict write_control_register(standing_guest& g, const instruction& i);
verdict clear_task_switched_flag(standing_guest& g);
verdict write_extended_control_register(standing_guest& g);

/// EFER, the bases of FS and GS, and those of SYSCALL (Intel SDM vol. 4, Architectural MSRs); any other raises #GP, as one
/// does that the processor does not have.
verdict read_model_specific_register(standing_guest& g);
verdict write_model_specific_register(standing_guest& g);

} // namespace mirage::tender
