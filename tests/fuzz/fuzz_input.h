/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer's input as a stream of little-endian numbers, and the check that ends a run.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What libFuzzer (or replay.c) calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* Something that must never happen, happened. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The next `bytes` (1..8); behind the end there are zeroes. */
static inline uint64_t fuzz_take(struct fuzz_input *input, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && input->left != 0; i++) {
        value |= (uint64_t)*input->at << (8 * i);
        input->at++;
        input->left--;
    }
    return value;
}

static inline uint8_t fuzz_u8(struct fuzz_input *input)
{
    return (uint8_t)fuzz_take(input, 1);
}

static inline uint16_t fuzz_u16(struct fuzz_input *input)
{
    return (uint16_t)fuzz_take(input, 2);
}

static inline uint32_t fuzz_u32(struct fuzz_input *input)
{
    return (uint32_t)fuzz_take(input, 4);
}

/* Memory that the guest rewrites: address (16 bits, modulo `size`), a length byte, the bytes. */
static inline void fuzz_poke(struct fuzz_input *input, uint8_t *memory, size_t size)
{
    size_t at = fuzz_u16(input) % size;
    size_t length = fuzz_u8(input);

    for (size_t i = 0; i < length && at + i < size && input->left != 0; i++) {
        memory[at + i] = fuzz_u8(input);
    }
}

#endif
