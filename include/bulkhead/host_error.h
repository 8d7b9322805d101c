/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the host's errno numbers become Bulkhead's error codes. Not for freestanding code: that
 * knows no errno.
 */
#ifndef BULKHEAD_HOST_ERROR_H
#define BULKHEAD_HOST_ERROR_H

#include "bulkhead/error.h"

/* The code for `number`, an errno value (positive). What has no code of its own, and 0, becomes
 * BH_IO: an error is never lost. Any thread. */
int bh_error_from_errno(int number);

#endif
