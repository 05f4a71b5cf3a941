// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/host/platform.hpp"
