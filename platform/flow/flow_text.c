/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Short texts that messages and explanations share: steps, modes. It decides nothing.
 */
#include "flow_text.h"

#include <inttypes.h>
#include <stdio.h>

void bh_flow_modes_text(const struct bh_platform *platform, uint32_t modes, const char *before,
                        char *to, size_t size)
{
    uint32_t count = (uint32_t)__builtin_popcount(modes);
    uint32_t named = 0;
    size_t used;
    int more;

    (void)snprintf(to, size, "%s", "");
    if (platform->modes.count < 2) {
        return;
    }
    if (count == platform->modes.count) {
        (void)snprintf(to, size, "%sin every mode", before);
        return;
    }
    more = snprintf(to, size, "%sin mode%s ", before, count == 1 ? "" : "s");
    used = more < 0 ? 0 : (size_t)more;
    for (uint32_t i = 0; i < platform->modes.count && used < size; i++) {
        if ((modes >> i & 1u) != 0) {
            const char *between = named == 0 ? "" : named + 1 == count ? " and " : ", ";

            named++;
            more = snprintf(to + used, size - used, "%s%s", between, platform->modes.names[i].text);
            used += more < 0 ? 0 : (size_t)more;
        }
    }
}

const char *bh_flow_node_name(const struct bh_flow_node *node)
{
    return node->guest != NULL ? node->guest->name.text : node->resource->name.text;
}

void bh_flow_step_text(const struct bh_flow_step *step, char *to, size_t size)
{
    const struct bh_resource *resource = step->device->uses;
    const struct bh_guest *guest = step->from.guest != NULL ? step->from.guest : step->to.guest;
    char operations[128];
    char numbers[64];

    bh_operations_text(resource->type.value, step->operations, operations, sizeof(operations));
    bh_numbers_text(bh_resource_numbers(resource->type.value), step->numbers.first,
                    step->numbers.last, numbers, sizeof(numbers));
    (void)snprintf(to, size, "%s -> %s: %s may %s%s%s%s through its device %s",
                   bh_flow_node_name(&step->from), bh_flow_node_name(&step->to), guest->name.text,
                   operations, numbers[0] == '\0' ? "" : " (", numbers,
                   numbers[0] == '\0' ? "" : ")", step->device->name.text);
}
