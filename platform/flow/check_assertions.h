/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check that what a definition asserts is so, and the one that keeps flows from hiding, as the
 * table of checks knows them. Private to platform/.
 */
#ifndef PLATFORM_FLOW_CHECK_ASSERTIONS_H
#define PLATFORM_FLOW_CHECK_ASSERTIONS_H

#include "platform/definition/reader.h"

/* assert-no-flow, assert-only-through, assert-not-shared, assert-isolated. Needs the index, what
 * lines and assertions mean, their modes, and the isolation of devices. */
void bh_check_assertions_hold(struct bh_reader *reader, struct bh_platform *platform);

/* resource-alias: nothing of the host is two resources. */
void bh_check_resource_alias(struct bh_reader *reader, struct bh_platform *platform);

/* Takes "//", "/./", "/../" and a slash at the end out of an absolute path, to compare it. */
void bh_path_tidy(char *path);

#endif
