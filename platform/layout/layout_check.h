/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is it enough? What a device needs of its window, and a kernel of its RAM, so that it works and
 * not only fits. Private to platform/.
 */
#ifndef PLATFORM_LAYOUT_CHECK_H
#define PLATFORM_LAYOUT_CHECK_H

#include "bulkhead/platform_layout.h"

static inline uint64_t bh_align_up(uint64_t value, uint64_t to)
{
    return (value + to - 1u) / to * to;
}

/* Virtqueues that the device has, at most. */
uint64_t bh_device_queues(const struct bh_device_definition *device);

/* Bytes of a window that hold the device's rings, as long as they can be: its ring part in shadow. A
 * multiple of 64K, like the window, so that hosts with pages of any size can map it by itself. */
uint64_t bh_window_rings(const struct bh_device_definition *device);

/* Bytes that the window of a device must have for Linux' driver of it. */
uint64_t bh_window_for_linux(const struct bh_device_definition *device);

/* Whether a driver can use the window of a device at all; if not, it is said. What Linux cannot use
 * is a warning, unless the guest boots a program: other drivers make smaller requests. */
bool bh_window_check(const struct bh_guest *guest, const struct bh_device_definition *device,
                     struct bh_diagnostics *diagnostics);

/* RAM with which a kernel that is placed starts its init, by estimate: a multiple of 2M. The
 * initrd is `unpacked` times as large when it is unpacked. */
uint64_t bh_memory_enough(const struct bh_layout *layout, uint64_t unpacked);

/* Says so if RAM is less: an error for what cannot start, a warning for what may not. BH_OK,
 * BH_INVALID. */
int bh_memory_check(const struct bh_layout *layout, struct bh_diagnostics *diagnostics);

/* Places what the guest boots, in RAM that is placed (layout_images.c). BH_OK, or BH_INVALID, said in
 * `diagnostics`. */
int bh_layout_images(struct bh_layout *layout, const struct bh_boot_images *images,
                     struct bh_diagnostics *diagnostics);

#endif
