/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the layout's messages and the memory map write numbers, and how a system call's failure
 * becomes an error code. Private to platform/.
 */
#ifndef PLATFORM_LAYOUT_TEXT_H
#define PLATFORM_LAYOUT_TEXT_H

#include <stdint.h>

/* A size as the definition writes it ("41M", "64K", "100"); passed by value, so that one message
 * can hold several. */
struct bh_size_text {
    char text[24];
};
struct bh_size_text bh_size_text_make(uint64_t bytes);

/* The error code for an errno value that a file gave. */
int bh_file_error(int number);

#endif
