/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A systemd unit that runs a platform, with a sandbox that follows from its definition.
 *
 * Thread: any; nothing is shared.
 */
#ifndef BULKHEAD_PLATFORM_UNIT_H
#define BULKHEAD_PLATFORM_UNIT_H

#include "bulkhead/platform_definition.h"

/* Where a platform's files lie on the host that runs it: image or definition, and what relative
 * paths in it mean. Its name comes behind. */
#define BH_UNIT_FOLDER "/srv/bulkhead/"

/* NAME.service as text. `image`: it runs NAME.image, which `build --sign` makes, and otherwise the
 * definition. Depends on the definition alone: same definition, same bytes. Allocated (free); NULL:
 * no memory. */
char *bh_unit_text(const struct bh_platform *platform, bool image);

#endif
