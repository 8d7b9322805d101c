/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device tree while it is written: libfdt's sequential writer with one error kept for the end,
 * and the numbers that its nodes share. Private to platform/.
 */
#ifndef PLATFORM_TREE_H
#define PLATFORM_TREE_H

#include <stdint.h>

#include "bulkhead/platform_layout.h"

enum {
    BH_TREE_PHANDLE_GIC = 1,
    BH_TREE_PHANDLE_CLOCK,
    BH_TREE_PHANDLE_GPIO,
    BH_TREE_PHANDLE_WINDOWS = 16, /* + the device's index */
};

/* First and third cell of an interrupt of the GIC (Linux bindings, arm,gic-v3). */
enum { BH_TREE_SPI = 0, BH_TREE_PPI = 1 };
enum { BH_TREE_EDGE = 1, BH_TREE_LEVEL = 4 };

#define BH_TREE_UART "/serial@9000000"

struct bh_tree {
    void *fdt;
    int error; /* the first of libfdt's, 0: none; later calls do no harm */
};

/* Keeps what a call of libfdt's returned. */
void bh_tree_add(struct bh_tree *tree, int result);

/* Begins the node NAME@ADDRESS. */
void bh_tree_node(struct bh_tree *tree, const char *name, uint64_t address);

/* A property that is a text. */
void bh_tree_text(struct bh_tree *tree, const char *name, const char *text);

/* A property of 32-bit cells. */
void bh_tree_words(struct bh_tree *tree, const char *name, const uint32_t *words, uint32_t count);
#define BH_TREE_WORDS(tree, name, ...)                                                             \
    bh_tree_words(tree, name, (const uint32_t[]){__VA_ARGS__},                                     \
                  (uint32_t)(sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)))

/* `reg` with one range, two cells each. */
void bh_tree_reg(struct bh_tree *tree, uint64_t address, uint64_t size);

/* What every guest's machine has, in the open root node (tree_machine.c). */
void bh_tree_machine_add(struct bh_tree *tree, const struct bh_layout *layout);

#endif
