/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the checks share: going through guests and devices, and naming what was probably meant. No
 * check itself.
 */
#include "bulkhead/platform_policy.h"
#include "check.h"

void bh_each_guest(struct bh_reader *reader, struct bh_platform *platform,
                   bh_guest_function *function)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        function(reader, &platform->guests[i]);
    }
}

void bh_each_device(struct bh_reader *reader, struct bh_platform *platform,
                    bh_device_function *function)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        for (uint32_t j = 0; j < platform->guests[i].device_count; j++) {
            function(reader, &platform->guests[i], &platform->guests[i].devices[j]);
        }
    }
}

const char *bh_word_guest(const void *platform, size_t index)
{
    const struct bh_platform *of = platform;

    return index < of->guest_count ? of->guests[index].name.text : NULL;
}

const char *bh_word_resource(const void *platform, size_t index)
{
    const struct bh_platform *of = platform;

    return index < of->resource_count ? of->resources[index].name.text : NULL;
}

const char *bh_word_node(const void *platform, size_t index)
{
    const struct bh_platform *of = platform;

    return index < of->guest_count ? of->guests[index].name.text
                                   : bh_word_resource(platform, index - of->guest_count);
}

const char *bh_word_device(const void *guest, size_t index)
{
    const struct bh_guest *of = guest;

    return index < of->device_count ? of->devices[index].name.text : NULL;
}

const char *bh_word_name(const void *names, size_t index)
{
    const struct bh_names *of = names;

    return index < of->count ? of->names[index].text : NULL;
}

const char *bh_check_suggest(const struct bh_reader *reader, const char *word, bh_words words,
                             const void *context)
{
    return bh_diagnostics_full(reader->diagnostics) ? NULL : bh_suggest(word, words, context);
}

void bh_check_say_unknown(const struct bh_reader *reader, const struct bh_text *name,
                          const char *what, bh_words words, const void *context,
                          const char *otherwise)
{
    const char *near = bh_check_suggest(reader, name->text, words, context);

    if (near != NULL) {
        BH_SAY(reader, "reference", name->at, "there is no %s %s\ndid you mean %s?", what,
               bh_show(name->text).text, near);
    } else {
        BH_SAY(reader, "reference", name->at, "there is no %s %s\n%s", what,
               bh_show(name->text).text, otherwise);
    }
}

bool bh_check_has_backend(const struct bh_device_definition *device)
{
    return device->type.value != BH_DEVICE_PASSTHROUGH;
}

uint32_t bh_check_operations(const struct bh_platform *platform, const struct bh_use *use)
{
    return bh_policy_operations(platform, use->guest, use->device->uses, BH_MODES_ALL);
}
