/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The definition's words for its values, out of the table of keys.
 */
#include "bulkhead/platform_definition.h"
#include "schema.h"

static const char *word_at(const struct bh_schema_word *words, uint32_t value)
{
    for (uint32_t i = 0; words[i].word != NULL; i++) {
        if (i == value) {
            return words[i].word;
        }
    }
    return "unknown";
}

const char *bh_device_type_name(uint32_t type)
{
    return word_at(bh_words_device, type);
}

const char *bh_resource_type_name(uint32_t type)
{
    return word_at(bh_words_resource, type);
}

const char *bh_arch_name(uint32_t arch)
{
    return word_at(bh_words_arch, arch);
}

const char *bh_criticality_name(uint32_t criticality)
{
    return word_at(bh_words_criticality, criticality);
}

const char *bh_isolation_name(uint32_t isolation)
{
    return word_at(bh_words_isolation, isolation);
}
