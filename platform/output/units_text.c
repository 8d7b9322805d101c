/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts in a systemd unit (systemd.syntax(7), systemd.unit(5)): words are cut at spaces and may be
 * quoted, '\' begins an escape, '%' a specifier, and in command lines '$' a variable. Paths of a
 * definition have no control characters.
 */
#include <string.h>

#include "units.h"

static bool is_plain(unsigned char byte)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";

    return byte != '\0' && strchr(plain, byte) != NULL;
}

/* In quotes if it needs to be: then every special character is an escape. */
static void put_word(FILE *to, const char *prefix, const char *word, bool dollars)
{
    const bool quoted = word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789/._-:@+=,%")] != '\0';

    (void)fprintf(to, "%s%s", quoted ? "\"" : "", prefix);
    for (; *word != '\0'; word++) {
        if (*word == '%' || (*word == '$' && dollars)) {
            (void)fputc(*word, to);
        } else if (*word == '"' || *word == '\\') {
            (void)fputc('\\', to);
        }
        (void)fputc(*word, to);
    }
    (void)fputs(quoted ? "\"" : "", to);
}

void bh_unit_put_path(FILE *to, const char *prefix, const char *path)
{
    put_word(to, prefix, path, false);
}

void bh_unit_put_argument(FILE *to, const char *word)
{
    put_word(to, "", word, true);
}

/* As `systemd-escape --path` does it: '/' becomes '-', what is not harmless \xNN; and '%' would be a
 * specifier if it were not among the latter. In a list of units '\' is no escape. */
void bh_unit_put_device_name(FILE *to, const char *path)
{
    for (const char *at = path + 1; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;

        if (byte == '/') {
            (void)fputc('-', to);
        } else if (byte == '-' || (!is_plain(byte) && byte != ':' && byte != '_')) {
            (void)fprintf(to, "\\x%02x", byte);
        } else {
            (void)fputc(byte, to);
        }
    }
    (void)fputs(".device", to);
}
