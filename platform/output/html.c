/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Escaping, and a printf that escapes. It knows no elements: what is opened has to be closed by
 * who opened it.
 */
#include "bulkhead/platform_markup.h"

#include <stdarg.h>
#include <string.h>

#include "platform/definition/text.h"

static const char *entity_of(uint32_t character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void bh_html_text(const struct bh_html *html, const char *text)
{
    const char *end = text + strlen(text);

    while (text < end) {
        const char *from = text;
        const uint32_t character = bh_character_next(&text, end);
        const char *entity = entity_of(character);

        if (entity) {
            (void)fputs(entity, html->to);
        } else if (character == BH_CHARACTER_BAD || !bh_character_is_plain(character) ||
                   (character & 0xfffeu) == 0xfffeu) {
            /* The last two of each plane are no characters for XML. */
            (void)fputs("\xef\xbf\xbd", html->to);
        } else {
            (void)fwrite(from, 1, (size_t)(text - from), html->to);
        }
    }
}

void bh_html_markup(const struct bh_html *html, const char *markup)
{
    (void)fputs(markup, html->to);
}

void bh_html_put(const struct bh_html *html, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    while (*format != '\0') {
        const size_t plain = strcspn(format, "%");

        (void)fwrite(format, 1, plain, html->to);
        format += plain;
        if (*format == '\0') {
            break;
        }
        if (format[1] == 's') {
            const char *text = va_arg(values, const char *);

            bh_html_text(html, text ? text : "");
        } else if (format[1] == 'd') {
            (void)fprintf(html->to, "%d", va_arg(values, int));
        } else if (format[1] == 'u') {
            (void)fprintf(html->to, "%u", va_arg(values, unsigned));
        } else if (format[1] == 'l' && format[2] == 'u') {
            (void)fprintf(html->to, "%lu", va_arg(values, unsigned long));
            format++;
        } else if (format[1] == '%') {
            (void)fputc('%', html->to);
        } else {
            break;
        }
        format += 2;
    }
    va_end(values);
}
