/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of the platform against the computer that it is meant for: sums of memory and processors,
 * and who shares processors with whom. Where the definition does not say what the computer has,
 * nothing is summed up. What the computer that it runs on really has is the engine's to find out.
 */
#include <inttypes.h>
#include <string.h>

#include "check.h"
#include "platform/layout/layout_text.h"

#define MIB (UINT64_C(1) << 20)

/* What is needed besides RAM and windows, measured on Debian 12 and rounded up: QEMU for a guest,
 * a gate, what it copies for a bounce device, a back end with the one that is kept ready for it, and
 * the host itself with the supervisor. */
#define ENGINE_BYTES  (64u * MIB)
#define GATE_BYTES    (8u * MIB)
#define COPIES_BYTES  (16u * MIB)
#define BACKEND_BYTES (8u * MIB)
#define HOST_BYTES    (256u * MIB)

/* ---------------------------------------------------------------------------------------- memory */

static uint64_t align_up(uint64_t bytes)
{
    return (bytes + MIB - 1u) / MIB * MIB;
}

/* RAM and windows of all guests; `*besides` is what their processes take. */
static uint64_t memory_sum(const struct bh_platform *platform, uint64_t *besides)
{
    uint64_t bytes = 0;

    *besides = HOST_BYTES;
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];

        bytes += guest->memory.value;
        *besides += ENGINE_BYTES;
        for (uint32_t j = 0; j < guest->device_count; j++) {
            const struct bh_device_definition *device = &guest->devices[j];

            if (!device->left_out) {
                bytes += device->window.value;
                *besides += BACKEND_BYTES;
                *besides += device->isolation.value == BH_ISOLATION_BOUNCE ? COPIES_BYTES : 0;
            }
        }
        *besides += guest->device_count > 0 ? GATE_BYTES : 0;
    }
    return bytes;
}

void bh_check_host_memory(struct bh_reader *reader, struct bh_platform *platform)
{
    uint64_t besides;
    uint64_t bytes = memory_sum(platform, &besides);

    if (platform->host.memory.value != 0 && bytes > platform->host.memory.value) {
        BH_SAY(reader, "host-memory", platform->host.memory.at,
               "memory and windows of all guests are %s, and the host has %s\n"
               "give guests less memory, or write memory: %s or more for the host",
               bh_size_text_make(align_up(bytes)).text,
               bh_size_text_make(platform->host.memory.value).text,
               bh_size_text_make(align_up(bytes + besides)).text);
    }
}

void bh_check_host_memory_tight(struct bh_reader *reader, struct bh_platform *platform)
{
    uint64_t besides;
    uint64_t bytes = memory_sum(platform, &besides);
    uint64_t has = platform->host.memory.value;

    if (has != 0 && bytes <= has && bytes + besides > has) {
        BH_WARN(reader, "host-memory-tight", platform->host.memory.at,
                "memory and windows of all guests are %s of the %s that the host has; engines,"
                " gates, back ends and the host itself take some %s more\n"
                "give guests less memory, or the host %s",
                bh_size_text_make(align_up(bytes)).text, bh_size_text_make(has).text,
                bh_size_text_make(align_up(besides)).text,
                bh_size_text_make(align_up(bytes + besides)).text);
    }
}

/* ------------------------------------------------------------------------------------ processors */

#define CPUS_MAX  1024u /* host-cpus of schema_guest.c */
#define WORD_BITS 64u

/* Processors of the host, a bit each. */
struct cpu_set {
    uint64_t words[CPUS_MAX / WORD_BITS];
};

static struct cpu_set cpu_set_of(const struct bh_guest *guest)
{
    struct cpu_set set;

    memset(&set, guest->host_cpus.count == 0 ? 0xff : 0, sizeof(set));
    for (uint32_t i = 0; i < guest->host_cpus.count; i++) {
        const struct bh_range *range = &guest->host_cpus.ranges[i];

        for (uint32_t cpu = range->first; cpu <= range->last && cpu < CPUS_MAX; cpu++) {
            set.words[cpu / WORD_BITS] |= UINT64_C(1) << cpu % WORD_BITS;
        }
    }
    return set;
}

static uint32_t cpu_set_count(const struct cpu_set *set)
{
    uint32_t count = 0;

    for (size_t i = 0; i < CPUS_MAX / WORD_BITS; i++) {
        count += (uint32_t)__builtin_popcountll(set->words[i]);
    }
    return count;
}

/* The first processor of both; CPUS_MAX: they share none. */
static uint32_t cpu_set_common(const struct cpu_set *a, const struct cpu_set *b)
{
    for (uint32_t i = 0; i < CPUS_MAX / WORD_BITS; i++) {
        uint64_t both = a->words[i] & b->words[i];

        if (both != 0) {
            return i * WORD_BITS + (uint32_t)__builtin_ctzll(both);
        }
    }
    return CPUS_MAX;
}

void bh_check_host_cpus(struct bh_reader *reader, struct bh_platform *platform)
{
    uint64_t has = platform->host.cpus.value;

    for (uint32_t i = 0; i < platform->guest_count && has != 0; i++) {
        const struct bh_guest *guest = &platform->guests[i];

        for (uint32_t j = 0; j < guest->host_cpus.count; j++) {
            const struct bh_range *range = &guest->host_cpus.ranges[j];

            if (range->last >= has) {
                BH_SAY(reader, "host-cpus", range->at,
                       "guest %s runs on processor %u, and the host has %" PRIu64
                       ", counted from 0\n"
                       "write numbers up to %" PRIu64 ", or cpus: %u or more for the host",
                       guest->name.text, range->last, has, has - 1u, range->last + 1u);
                bh_diagnostics_note(reader->diagnostics, platform->host.cpus.at,
                                    "here is what the host has");
            }
        }
    }
}

void bh_check_cpus_few(struct bh_reader *reader, struct bh_platform *platform)
{
    uint64_t has = platform->host.cpus.value;

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];
        const struct cpu_set set = cpu_set_of(guest);
        uint32_t pinned = cpu_set_count(&set);

        if (guest->host_cpus.count != 0 && pinned < guest->cpus.value) {
            BH_WARN(reader, "cpus-few", guest->host_cpus.at,
                    "guest %s has %" PRIu64 " processors, and %u of the host run them: they take"
                    " turns, and one that holds a lock may wait while others spin for it\n"
                    "write as many host-cpus as cpus, and one more for its back ends",
                    guest->name.text, guest->cpus.value, pinned);
            bh_diagnostics_note(reader->diagnostics, guest->cpus.at, "its processors");
        } else if (has != 0 && guest->cpus.value > has) {
            BH_WARN(reader, "cpus-few", guest->cpus.at,
                    "guest %s has %" PRIu64 " processors, and the host has %" PRIu64
                    " to run them: they take turns, and one that holds a lock may wait while"
                    " others spin for it\n"
                    "write cpus: %" PRIu64 " or less",
                    guest->name.text, guest->cpus.value, has, has);
            bh_diagnostics_note(reader->diagnostics, platform->host.cpus.at,
                                "here is what the host has");
        }
    }
}

void bh_check_cpus_many(struct bh_reader *reader, struct bh_platform *platform)
{
    uint64_t has = platform->host.cpus.value;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        sum += platform->guests[i].cpus.value;
    }
    if (has != 0 && platform->guest_count > 1 && sum > has) {
        BH_WARN(reader, "cpus-many", platform->host.cpus.at,
                "all guests together have %" PRIu64 " processors, and the host has %" PRIu64
                ": when all are busy, some wait\n"
                "give guests fewer; or pin those that must not wait with host-cpus, and switch"
                " this off with -W no-cpus-many",
                sum, has);
    }
}

/* ------------------------------------------------------------------------------------ cpu-shared */

/* Where a guest says what it runs on. */
static struct bh_origin place_of(const struct bh_guest *guest)
{
    return guest->host_cpus.count != 0 ? guest->host_cpus.at : guest->name.at;
}

static void check_shared(const struct bh_reader *reader, const struct bh_platform *platform,
                         const struct cpu_set *sets, uint32_t later)
{
    const struct bh_guest *guest = &platform->guests[later];

    for (uint32_t i = 0; i < later; i++) {
        const struct bh_guest *other = &platform->guests[i];
        uint32_t common;

        /* Of guests that are not pinned nobody expects anything. */
        if (other->criticality.value == guest->criticality.value ||
            (guest->host_cpus.count == 0 && other->host_cpus.count == 0)) {
            continue;
        }
        common = cpu_set_common(&sets[i], &sets[later]);
        if (common < CPUS_MAX) {
            BH_WARN(reader, "cpu-shared", place_of(guest),
                    "guests %s (%s) and %s (%s) may both run on processor %u, and keep each other"
                    " waiting\n"
                    "write host-cpus for both, without one that stands in both",
                    other->name.text, bh_criticality_name(other->criticality.value),
                    guest->name.text, bh_criticality_name(guest->criticality.value), common);
            bh_diagnostics_note(reader->diagnostics, place_of(other), "what %s runs on%s",
                                other->name.text,
                                other->host_cpus.count == 0 ? ": any, as none are written" : "");
            return;
        }
    }
}

void bh_check_cpu_shared(struct bh_reader *reader, struct bh_platform *platform)
{
    struct cpu_set sets[BH_GUESTS_MAX];

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        sets[i] = cpu_set_of(&platform->guests[i]);
        check_shared(reader, platform, sets, i);
    }
}
