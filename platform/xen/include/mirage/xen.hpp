// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen/block.hpp"
#include "mirage/xen/netif.hpp"
#include "mirage/xen/notes.hpp"
#include "mirage/xen/platform.hpp"
