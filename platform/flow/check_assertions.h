/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check that what a definition asserts is so, as the table of checks knows it. Private to
 * platform/.
 */
#ifndef PLATFORM_FLOW_CHECK_ASSERTIONS_H
#define PLATFORM_FLOW_CHECK_ASSERTIONS_H

#include "platform/definition/reader.h"

/* assert-no-flow, assert-only-through, assert-not-shared, assert-isolated. Needs the index, what
 * lines and assertions mean, their modes, and the isolation of devices. */
void bh_check_assertions_hold(struct bh_reader *reader, struct bh_platform *platform);

#endif
