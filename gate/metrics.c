/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What devices have done, as OpenMetrics text (version 1.0): a family after the other, in each a line
 * for each device. Label values are escaped; numbers come as they are, from a ledger that is not
 * believed, so sums are held within 64 bits.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/gate_parent.h"

#define US_IN_S 1000000u

struct family {
    const char *name; /* without "bulkhead_gate_" and suffix */
    const char *type;
    const char *unit; /* NULL: none */
    const char *help;
    void (*print)(FILE *out, const struct bh_gate_metrics_source *source);
};

static void print_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"') {
            (void)fputc('\\', out);
        }
        if (*text == '\n') {
            (void)fputs("\\n", out);
        } else {
            (void)fputc(*text, out);
        }
    }
}

/* The start of a sample, up to where further labels or "} value" follow. */
static void begin(FILE *out, const struct bh_gate_metrics_source *source, const char *name)
{
    (void)fprintf(out, "bulkhead_gate_%s{guest=\"", name);
    print_escaped(out, source->guest);
    (void)fputs("\",device=\"", out);
    print_escaped(out, source->device);
    (void)fputs("\",mode=\"", out);
    print_escaped(out, source->mode);
    (void)fputc('"', out);
}

static void print_number(FILE *out, const struct bh_gate_metrics_source *source, const char *name,
                         uint64_t value)
{
    begin(out, source, name);
    (void)fprintf(out, "} %" PRIu64 "\n", value);
}

/* Microseconds as seconds, exactly. */
static void print_seconds(FILE *out, uint64_t us)
{
    (void)fprintf(out, "%" PRIu64 ".%06" PRIu64 "\n", us / US_IN_S, us % US_IN_S);
}

static uint64_t sum(uint64_t one, uint64_t other)
{
    return one > UINT64_MAX - other ? UINT64_MAX : one + other;
}

/* ------------------------------------------------------------------------------------------------
 * families */

static void print_requests(FILE *out, const struct bh_gate_metrics_source *source)
{
    print_number(out, source, "requests_total", source->counters.requests);
}

static void print_bytes(FILE *out, const struct bh_gate_metrics_source *source)
{
    begin(out, source, "bytes_total");
    (void)fprintf(out, ",direction=\"read\"} %" PRIu64 "\n", source->counters.bytes_read);
    begin(out, source, "bytes_total");
    (void)fprintf(out, ",direction=\"write\"} %" PRIu64 "\n", source->counters.bytes_written);
}

static void print_copied(FILE *out, const struct bh_gate_metrics_source *source)
{
    print_number(out, source, "copied_bytes_total", source->counters.copied);
}

/* The ledger's buckets count by themselves; those of the text count all below, too. */
static void print_latency(FILE *out, const struct bh_gate_metrics_source *source)
{
    uint64_t below = 0;
    for (uint32_t i = 0; i + 1u < BH_GATE_LATENCY_BUCKETS; i++) {
        uint64_t us = (uint64_t)1 << i;
        below = sum(below, source->counters.latency[i]);
        begin(out, source, "latency_seconds_bucket");
        (void)fprintf(out, ",le=\"%" PRIu64 ".%06" PRIu64 "\"} %" PRIu64 "\n", us / US_IN_S,
                      us % US_IN_S, below);
    }
    below = sum(below, source->counters.latency[BH_GATE_LATENCY_BUCKETS - 1u]);
    begin(out, source, "latency_seconds_bucket");
    (void)fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", below);
    begin(out, source, "latency_seconds_sum");
    (void)fputs("} ", out);
    print_seconds(out, source->counters.latency_us);
    print_number(out, source, "latency_seconds_count", below);
}

static void print_limited(FILE *out, const struct bh_gate_metrics_source *source)
{
    print_number(out, source, "limited_total", source->counters.limited);
}

static void print_starved(FILE *out, const struct bh_gate_metrics_source *source)
{
    print_number(out, source, "starved_total", source->counters.starved);
}

static void print_repeated(FILE *out, const struct bh_gate_metrics_source *source)
{
    print_number(out, source, "repeated_total", source->counters.repeated);
}

static void print_refused(FILE *out, const struct bh_gate_metrics_source *source)
{
    print_number(out, source, "refused_total", source->counters.refused);
}

static void print_restarts(FILE *out, const struct bh_gate_metrics_source *source)
{
    print_number(out, source, "restarts_total", source->counters.restarts);
}

static void print_stall(FILE *out, const struct bh_gate_metrics_source *source)
{
    begin(out, source, "stall_seconds");
    (void)fputs("} ", out);
    print_seconds(out, source->counters.stall_us);
}

static void print_stall_most(FILE *out, const struct bh_gate_metrics_source *source)
{
    begin(out, source, "stall_most_seconds");
    (void)fputs("} ", out);
    print_seconds(out, source->counters.stall_us_max);
}

static void print_in_flight(FILE *out, const struct bh_gate_metrics_source *source)
{
    print_number(out, source, "in_flight", source->counters.in_flight);
}

static void print_arena(FILE *out, const struct bh_gate_metrics_source *source)
{
    print_number(out, source, "arena_bytes", (uint64_t)source->counters.arena_used * 1024u);
}

static void print_state(FILE *out, const struct bh_gate_metrics_source *source)
{
    for (uint32_t state = 0; state <= BH_GATE_FAILED; state++) {
        begin(out, source, "state");
        (void)fprintf(out, ",bulkhead_gate_state=\"%s\"} %d\n", bh_gate_state_name(state),
                      state == source->counters.state ? 1 : 0);
    }
}

static const struct family families[] = {
    {"requests", "counter", NULL, "Requests that were answered (shadow and bounce).",
     print_requests},
    {"bytes", "counter", "bytes", "Bytes of requests, from (read) and to (write) the back end.",
     print_bytes},
    {"copied_bytes", "counter", "bytes", "Bytes that the gate copied.", print_copied},
    {"latency_seconds", "histogram", "seconds",
     "Time from taking a request of the guest to giving it back.", print_latency},
    {"limited", "counter", NULL, "Times that a queue had to wait because of a limit.",
     print_limited},
    {"starved", "counter", NULL, "Times that a queue had to wait for room in the arena.",
     print_starved},
    {"repeated", "counter", NULL, "Requests that were given to a successor again.", print_repeated},
    {"refused", "counter", NULL, "Requests that the gate answered with an error.", print_refused},
    {"restarts", "counter", NULL, "Back ends that were replaced.", print_restarts},
    {"stall_seconds", "gauge", "seconds",
     "The last replacement: time from the loss to the next completion.", print_stall},
    {"stall_most_seconds", "gauge", "seconds", "The longest of these times.", print_stall_most},
    {"in_flight", "gauge", NULL, "Requests that the back end has now.", print_in_flight},
    {"arena_bytes", "gauge", "bytes", "Bytes of the arena that are in use now.", print_arena},
    {"state", "stateset", NULL, "What the device's back end is doing now.", print_state},
};

char *bh_gate_metrics(const struct bh_gate_metrics_source *sources, uint32_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        const struct family *family = &families[i];
        (void)fprintf(out, "# TYPE bulkhead_gate_%s %s\n", family->name, family->type);
        if (family->unit != NULL) {
            (void)fprintf(out, "# UNIT bulkhead_gate_%s %s\n", family->name, family->unit);
        }
        (void)fprintf(out, "# HELP bulkhead_gate_%s %s\n", family->name, family->help);
        for (uint32_t j = 0; j < count; j++) {
            family->print(out, &sources[j]);
        }
    }
    (void)fputs("# EOF\n", out);
    bool whole = ferror(out) == 0;
    if (fclose(out) != 0 || !whole) {
        free(text);
        return NULL;
    }
    return text;
}
