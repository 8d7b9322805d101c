/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is it enough? What a device needs of its window, and a kernel of its RAM, so that it works and
 * not only fits. Private to platform/.
 */
#ifndef PLATFORM_LAYOUT_CHECK_H
#define PLATFORM_LAYOUT_CHECK_H

#include "bulkhead/platform_layout.h"

/* Bytes that the window of a device must have for its driver to work at all. */
uint64_t bh_window_smallest(const struct bh_device_definition *device);

/* Whether the window of a device is of use; if not, it is said. */
bool bh_window_check(const struct bh_guest *guest, uint32_t device,
                     struct bh_diagnostics *diagnostics);

/* RAM with which a kernel that is placed starts its init, by estimate: a multiple of 2M. */
uint64_t bh_memory_enough(const struct bh_layout *layout);

/* Says so if RAM is less than that. BH_OK, BH_INVALID. */
int bh_memory_check(const struct bh_layout *layout, struct bh_diagnostics *diagnostics);

#endif
