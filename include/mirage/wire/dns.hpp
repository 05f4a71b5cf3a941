// SPDX-License-Identifier: MIT
#pragma once
// DNS messages: names, views, what records hold, and how messages are written. RFC 1034, RFC 1035
#include "mirage/wire/dns/data.hpp"
#include "mirage/wire/dns/message.hpp"
#include "mirage/wire/dns/name.hpp"
#include "mirage/wire/dns/types.hpp"
#include "mirage/wire/dns/writer.hpp"
