/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with its front end, for tests of the gate: a disk that is used and verified all the time
 * (tests/vhost_user/vu_disk.h), and around it memory that no back end has any business with, full of
 * secrets: private memory, a window of another device, the part of the own window in which the rings
 * lie, and what lies between the buffers. In the end all of it must be what it was.
 *
 * guest_memory.c lays it out, guest_rings.c breaks rings, guest_main.c is the command line.
 */
#ifndef HOSTILE_GUEST_H
#define HOSTILE_GUEST_H

#include "../vhost_user/vu_verify.h"

/* Where things lie; the tests tell the gate. The window is rings and data, one after the other. */
#define GUEST_PRIVATE UINT64_C(0x40000000)
#define GUEST_RINGS   UINT64_C(0x100000000)
#define GUEST_DATA    UINT64_C(0x100100000)
#define GUEST_OTHER   UINT64_C(0x110000000)
#define GUEST_PART    UINT64_C(0x100000) /* the size of each of them */

#define SECRET_BYTES 16u

enum guest_area {
    AREA_PRIVATE,
    AREA_RINGS,
    AREA_DATA,
    AREA_OTHER,
    AREAS,
};

enum guest_layout {
    LAYOUT_SPLIT,  /* a file for each area */
    LAYOUT_WINDOW, /* rings and data in one file and one region */
    LAYOUT_ONE,    /* one file for everything, a region for each area */
};

struct guest {
    struct vu_disk disk;
    enum guest_layout layout;
    bool unsealed;
    bool window_only; /* only rings and data are shared with the front end's other side */
    uint8_t *areas[AREAS];
    struct bh_vu_share shares[AREAS];
    uint32_t share_count;
    uint8_t secrets[AREAS][SECRET_BYTES]; /* of AREA_DATA: between the buffers */
    size_t rings_used;                    /* bytes of the ring area that the driver took */
};

/* Memory, connection, device. BH_OK or a code, said on stderr. */
int guest_open(struct guest *guest, const struct vu_disk_options *options);
/* What is not the device's is as it was filled: BH_OK, or BH_IO and the place on stderr. */
int guest_check(const struct guest *guest);
/* Whether a secret (of any area) is among these bytes. */
bool guest_has_secret(const struct guest *guest, const uint8_t *bytes, size_t length);

/* Breaks the rules of ring 0 in the way of that name, and waits until the device stopped or some time
 * has gone by. 1: it stopped; 0: it goes on; BH_INVALID: no
 * such way; BH_UNSUPPORTED: not with this ring. */
int guest_attack(struct guest *guest, const char *name);
void guest_attack_names(void);

#endif
