/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processors and memory of this host (processors.h).
 */
#include "processors.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS (8u * sizeof(unsigned long))

#define LIST_BYTES 128u
#define KIB        1024u

#define NUMBER_BASE 10

const struct bh_child_cpus *bh_processors_of(const struct bh_guest *guest,
                                             struct bh_child_cpus *cpus)
{
    if (guest->host_cpus.count == 0u) {
        return NULL;
    }
    memset(cpus, 0, sizeof(*cpus));
    for (uint32_t i = 0; i < guest->host_cpus.count; i++) {
        const struct bh_range *range = &guest->host_cpus.ranges[i];
        for (uint32_t cpu = range->first; cpu <= range->last && cpu < BH_CHILD_CPUS; cpu++) {
            cpus->words[cpu / WORD_BITS] |= 1ul << cpu % WORD_BITS;
        }
    }
    return cpus;
}

/* "0-3, 6": as much as there is room for. */
static void list_cpus(const cpu_set_t *set, char list[LIST_BYTES])
{
    size_t used = 0;
    list[0] = '\0';
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        size_t last = cpu;
        if (!CPU_ISSET(cpu, set)) {
            continue;
        }
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set)) {
            last++;
        }
        char one[32];
        int length = last > cpu
                         ? snprintf(one, sizeof(one), "%s%zu-%zu", used > 0u ? ", " : "", cpu, last)
                         : snprintf(one, sizeof(one), "%s%zu", used > 0u ? ", " : "", cpu);
        if (length < 0 || used + (size_t)length + sizeof(", ...") > LIST_BYTES) {
            memcpy(list + used, ", ...", sizeof(", ..."));
            return;
        }
        memcpy(list + used, one, (size_t)length + 1u);
        used += (size_t)length;
        cpu = last;
    }
}

void bh_processors_check(const struct bh_guest *guest, struct bh_diagnostics *diagnostics)
{
    cpu_set_t mine;
    char list[LIST_BYTES];
    if (sched_getaffinity(0, sizeof(mine), &mine) != 0) {
        return; /* more processors than the set has room for: the start tells */
    }
    for (uint32_t i = 0; i < guest->host_cpus.count; i++) {
        const struct bh_range *range = &guest->host_cpus.ranges[i];
        uint32_t cpu = range->first;
        while (cpu <= range->last && cpu < CPU_SETSIZE && CPU_ISSET(cpu, &mine)) {
            cpu++;
        }
        if (cpu <= range->last) {
            list_cpus(&mine, list);
            bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "engine-cpus", range->at,
                               "guest %s is pinned to processor %u, and here it may use: %s\n"
                               "write processors that this host has; if it has this one, let the "
                               "run use it (taskset, cpuset of its control group)",
                               guest->name.text, cpu, list);
        }
    }
}

bool bh_host_available(uint64_t *bytes)
{
    static const char key[] = "MemAvailable:";
    char line[128];
    bool found = false;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        found = strncmp(line, key, sizeof(key) - 1u) == 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (found) {
        *bytes = strtoull(line + sizeof(key) - 1u, NULL, NUMBER_BASE) * KIB;
    }
    return found;
}

uint64_t bh_layout_bytes(const struct bh_layout *layout)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < layout->region_count; i++) {
        bytes += layout->regions[i].size;
    }
    return bytes;
}
