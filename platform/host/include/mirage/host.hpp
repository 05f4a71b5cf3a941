// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/host/block.hpp"
#include "mirage/host/netif.hpp"
#include "mirage/host/platform.hpp"
