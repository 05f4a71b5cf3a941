// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/os/run.hpp"
#include "mirage/platform.hpp"

/// The one function that a platform's start calls, with itself; gives the exit status.
int mirage_application(mirage::platform& platform) noexcept;

#ifndef MIRAGE_PLATFORM_NOTES
#define MIRAGE_PLATFORM_NOTES(...)
#endif

/// Makes `...`, an application with its devices, the unikernel of this image:
/// `MIRAGE_UNIKERNEL(website<mirage::platform::netif<"service">, mirage::platform::console>)`. Once per
/// image: a second one in the same file redefines `an_image_has_one_MIRAGE_UNIKERNEL`, in another file the linker finds
/// `mirage_application` twice. It also emits what the platform wants to find in the image (the notes of an hvt guest).
#define MIRAGE_UNIKERNEL(...)                                                                                \
    struct an_image_has_one_MIRAGE_UNIKERNEL {};                                                             \
    MIRAGE_PLATFORM_NOTES(__VA_ARGS__)                                                                       \
    int mirage_application(mirage::platform& platform) noexcept {                                            \
        return mirage::os::run<__VA_ARGS__>(platform);                                                       \
    }
