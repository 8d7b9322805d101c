/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Last words (terminal_words.h). Which lines tell of a crash is a list of what kernels print; a
 * guest can print the same at will, so it explains an end that was seen elsewhere and never causes
 * one.
 */
#include "terminal_words.h"

#include <string.h>

static const char *const signs[] = {
    "Kernel panic",  "Unable to handle kernel", "Internal error: Oops",
    "kernel BUG at", "Attempted to kill init",
};

static bool tells(const char *text)
{
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (strstr(text, signs[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void keep(char *to, const char *text, size_t length)
{
    if (length > BH_WORDS_BYTES_MAX) {
        length = BH_WORDS_BYTES_MAX;
        while (length > 0u && ((unsigned char)text[length] & 0xc0u) == 0x80u) {
            length--;
        }
    }
    memcpy(to, text, length);
    to[length] = '\0';
}

void bh_words_take(struct bh_words *words, const char *text, size_t length)
{
    size_t blanks = strspn(text, " ");
    if (blanks >= length) {
        return;
    }
    keep(words->last, text + blanks, length - blanks);
    if (words->telling[0] == '\0' && tells(text)) {
        memcpy(words->telling, words->last, sizeof(words->telling));
    }
}

const char *bh_words_said(const struct bh_words *words)
{
    if (words->telling[0] != '\0') {
        return words->telling;
    }
    return words->last[0] != '\0' ? words->last : NULL;
}
