/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What people write who come from somewhere else, and how it is said here: words of QEMU, libvirt, compose files, device
 * trees; a single value where a list of one belongs. For messages alone: nothing of it is ever
 * accepted. Private to platform/.
 */
#ifndef PLATFORM_MEANT_H
#define PLATFORM_MEANT_H

#include <stdbool.h>
#include <stddef.h>

#include "schema.h"
#include "yaml_tree.h"

#define BH_MEANT_MAX 256u /* bytes of what is to be written */

/* A line of the table. */
struct bh_meant {
    const char
        *place; /* the noun of a group whose keys they are; or the key whose values they are */
    const char *words;  /* what people write, in small letters, with - for _ and a blank */
    const char *here;   /* how it is said here; NULL: it is not */
    const char *advice; /* what else there is to say; NULL: nothing */
};

/* The first line behind `last` (NULL: of all) for this word at this place; NULL: there is none. */
const struct bh_meant *bh_meant_next(const struct bh_meant *last, const char *place,
                                     const char *word);

/* The word of a choice that was meant, or a line that has no more than advice; both may be NULL. */
const char *bh_meant_choice(const struct bh_schema_key *key, const char *text, const char **advice);

/* What to write instead of a value of the wrong shape; false: nothing is known but the example. */
bool bh_shape_mend(const struct bh_schema_key *key, const struct bh_yaml_node *node,
                   char to[BH_MEANT_MAX]);

/* An entry of RANGES as it is to be written: "0x100..0x1ff" is 0x100-0x1ff; false: it is none. */
bool bh_range_mend(const struct bh_schema_key *key, const char *text, char to[BH_MEANT_MAX]);

#endif
