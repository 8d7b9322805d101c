/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks that need more than one key, as check.c's table names them. Private to platform/.
 */
#ifndef PLATFORM_CHECK_H
#define PLATFORM_CHECK_H

#include "platform/definition/reader.h"

typedef void bh_check_function(struct bh_reader *reader, struct bh_platform *platform);

/* check_resources.c; the first one fills in `uses`, which the others read. */
bh_check_function bh_check_reference;
bh_check_function bh_check_resource_type;
bh_check_function bh_check_resource_shared;
bh_check_function bh_check_resource_unused;
bh_check_function bh_check_image_twice;

/* check_guests.c; the isolation check fills in the defaults that depend on how a guest boots. */
bh_check_function bh_check_boot;
bh_check_function bh_check_isolation;
bh_check_function bh_check_open_mixed;
bh_check_function bh_check_ports;

#endif
