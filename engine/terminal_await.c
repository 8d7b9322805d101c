/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A text in a line (terminal_await.h). Of a line in pieces as much is kept as the text could begin
 * in.
 */
#include "terminal_await.h"

#include <string.h>

void bh_await_init(struct bh_await *await, const char *text)
{
    size_t length = text != NULL ? strlen(text) : 0u;
    await->text = length > 0u && length <= BH_AWAIT_BYTES_MAX ? text : NULL;
    await->length = length;
    await->have = 0;
}

bool bh_await_line(struct bh_await *await, const char *line, bool goes_on)
{
    if (await->text == NULL) {
        return false;
    }
    size_t length = strnlen(line, BH_LINE_BYTES_MAX);
    memcpy(await->seen + await->have, line, length);
    await->have += length;
    await->seen[await->have] = '\0';
    if (strstr(await->seen, await->text) != NULL) {
        await->text = NULL;
        return true;
    }
    size_t keep = !goes_on ? 0u : await->length - 1u;
    keep = keep < await->have ? keep : await->have;
    memmove(await->seen, await->seen + await->have - keep, keep);
    await->have = keep;
    return false;
}
