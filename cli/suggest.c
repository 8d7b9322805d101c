/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The word that was probably meant: of commands and checks.
 */
#include <string.h>

#include "command.h"

#define DISTANCE_MAX 2u  /* typing errors that a suggestion forgives */
#define WORD_MAX     32u /* a longer word is none of ours, misspelt */

static unsigned int least(unsigned int a, unsigned int b)
{
    return a < b ? a : b;
}

/* How many letters have to be put in, left out or replaced to make `a` of `b` (Levenshtein). */
static unsigned int distance(const char *a, const char *b)
{
    unsigned int row[WORD_MAX + 1u];
    size_t width = strlen(b);
    for (unsigned int i = 0; i <= width; i++) {
        row[i] = i;
    }
    for (size_t line = 0; a[line] != '\0'; line++) {
        unsigned int diagonal = row[0];
        row[0]++;
        for (size_t i = 0; i < width; i++) {
            unsigned int replaced = diagonal + (a[line] == b[i] ? 0u : 1u);
            diagonal = row[i + 1u];
            row[i + 1u] = least(replaced, least(row[i], row[i + 1u]) + 1u);
        }
    }
    return row[width];
}

const char *bh_cli_suggest(const char *word, const char *(*at)(size_t index))
{
    const char *meant = NULL;
    const char *other;
    unsigned int nearest = DISTANCE_MAX + 1u;
    for (size_t i = 0; strlen(word) <= WORD_MAX && (other = at(i)) != NULL; i++) {
        unsigned int found = strlen(other) <= WORD_MAX ? distance(word, other) : nearest;
        if (found < nearest) {
            nearest = found;
            meant = other;
        }
    }
    return meant;
}
