// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hvt/notes.hpp"
#include "mirage/hvt/platform.hpp"
