/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is mapped for each request, page by page and never contiguous, as a hypervisor with
 * grants gives it: a bh_memory_ops for the raw guest. It keeps a list of what is held, so that a
 * span that leaks, or is released twice, or was never given, fails the test; and it can be told to
 * refuse.
 */
#ifndef FAKE_GRANTS_H
#define FAKE_GRANTS_H

#include "ring_guest.h"

#define GRANT       UINT64_C(0x80000000)
#define GRANT_PAGE  UINT64_C(0x1000)
#define GRANT_PAGES 16u

struct fake_grants {
    uint8_t *base;
    struct bh_span held[64];
    uint32_t held_count;
    uint32_t calls;   /* of acquire */
    uint32_t fail_at; /* this call (from 1) fails; 0: none */
    int fail_with;
    uint32_t access; /* of the last call */
};

/* Gives the guest this memory beside its regions; it must be stopped. */
void fake_grants_init(struct fake_grants *grants, struct guest *guest);
void fake_grants_finish(struct fake_grants *grants);

/* The n-th acquire from now on fails with `error`. */
void fake_grants_fail(struct fake_grants *grants, uint32_t n, int error);

/* Host memory behind a granted address. */
uint8_t *fake_grants_at(const struct fake_grants *grants, uint64_t address);

#endif
