/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each guest by itself: what is claimed for it and what has to be trusted for that, what it is
 * made of, and its memory (report_memory.c).
 */
#include <inttypes.h>
#include <string.h>

#include "bulkhead/error.h"
#include "platform/definition/schema.h"
#include "platform/layout/layout_text.h"
#include "report.h"

/* ------------------------------------------------------------------------------------------------
 * facts */

static void fact_put(const struct bh_html *html, const char *name, const char *value)
{
    bh_html_put(html, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

static void code_put(const struct bh_html *html, const char *name, const struct bh_text *value)
{
    if (value->text != NULL) {
        bh_html_put(html, "<div><dt>%s</dt><dd><code>%s</code></dd></div>\n", name, value->text);
    }
}

/* The word of a choice, through the table of keys. */
static const char *choice_word(const struct bh_schema_group *group, const char *name,
                               uint32_t value)
{
    for (size_t i = 0; i < group->key_count; i++) {
        if (strcmp(group->keys[i].key, name) == 0) {
            return group->keys[i].words[value].word;
        }
    }
    return "";
}

static struct bh_schema_number duration(uint64_t ms)
{
    static const struct bh_schema_key key = {.type = BH_SCHEMA_TIME};

    return bh_schema_number(&key, ms);
}

static void boot_put(const struct bh_html *html, const struct bh_guest *guest)
{
    const struct bh_boot *boot = &guest->boot;

    code_put(html, "Kernel", &boot->kernel);
    code_put(html, "Initrd", &boot->initrd);
    code_put(html, "Command line", &boot->command_line);
    code_put(html, "Program", &boot->elf);
    code_put(html, "Firmware", &boot->firmware);
    code_put(html, "Boots from", &boot->disk);
}

static void watchdog_put(const struct bh_html *html, const struct bh_guest *guest)
{
    if (!guest->watchdog.given) {
        fact_put(html, "Watchdog", "none");
        return;
    }
    bh_html_put(html, "<div><dt>Watchdog</dt><dd>%s, then %s%s</dd></div>\n",
                duration(guest->watchdog.timeout.value).text,
                choice_word(&bh_schema_watchdog, "action", guest->watchdog.action.value),
                guest->watchdog.optional.value ? "; left out where the engine has none" : "");
}

static void ready_put(const struct bh_html *html, const struct bh_guest *guest)
{
    const struct bh_ready *ready = &guest->ready_when;

    bh_html_put(html, "<div><dt>Starts</dt><dd>priority %lu", guest->priority.value);
    for (uint32_t i = 0; i < guest->after.count; i++) {
        bh_html_put(html, "%s%s", i == 0 ? ", after " : ", ", guest->after.names[i].text);
    }
    bh_html_put(html, "</dd></div>\n<div><dt>Ready</dt><dd>");
    if (ready->device.text != NULL) {
        bh_html_put(html, "when its driver of %s is up", ready->device.text);
    }
    if (ready->message.text != NULL) {
        bh_html_put(html, "%swhen a terminal says \xe2\x80\x9c%s\xe2\x80\x9d",
                    ready->device.text == NULL ? "" : " and ", ready->message.text);
    }
    if (ready->device.text == NULL && ready->message.text == NULL) {
        bh_html_put(html, "with its first instruction");
    }
    bh_html_put(html, "</dd></div>\n");
}

static void facts_put(const struct bh_report *report, const struct bh_guest *guest)
{
    const struct bh_html *html = report->html;
    char text[256];

    bh_html_put(html, "<dl class=\"facts\">\n");
    bh_html_put(html, "<div><dt>Machine</dt><dd>%s, layout %s</dd></div>\n",
                bh_arch_name(guest->arch.value),
                choice_word(&bh_schema_guest, "layout", guest->layout.value));
    bh_report_cpus(guest, text, sizeof(text));
    bh_html_put(html, "<div><dt>CPUs</dt><dd>%s%s</dd></div>\n", text,
                guest->host_cpus.count == 0 ? ", not pinned: on any of the host" : "");
    fact_put(html, "Memory", bh_size_text_make(guest->memory.value).text);
    boot_put(html, guest);
    ready_put(html, guest);
    watchdog_put(html, guest);
    fact_put(html, "On reset", choice_word(&bh_schema_guest, "on-reset", guest->on_reset.value));
    fact_put(html, "Stops within", duration(guest->stop_within.value).text);
    bh_html_put(html, "</dl>\n");
}

/* ------------------------------------------------------------------------------------------------
 * trust */

static void trust_put(void *context, const struct bh_trust *trust)
{
    static const char *const kinds[] = {
        [BH_TRUST_HOST_KERNEL] = "host kernel",
        [BH_TRUST_SUPERVISOR] = "supervisor",
        [BH_TRUST_ENGINE] = "engine",
        [BH_TRUST_BACKEND] = "back end",
        [BH_TRUST_HARDWARE] = "hardware",
        [BH_TRUST_CPU] = "shared CPU",
        [BH_TRUST_CACHE] = "cache, bandwidth",
        [BH_TRUST_MEDIATOR] = "mediator",
        [BH_TRUST_GATE] = "gate",
    };
    const struct bh_report *report = context;
    const bool grave = trust->kind == BH_TRUST_HARDWARE ||
                       (trust->kind == BH_TRUST_BACKEND && trust->device != NULL &&
                        trust->device->isolation.value == BH_ISOLATION_OPEN);

    bh_html_put(report->html, "<li%s", "");
    bh_html_markup(report->html, grave ? " class=\"bad\">" : ">");
    bh_html_put(report->html, "<b>%s</b> <span>%s</span></li>\n", kinds[trust->kind], trust->text);
}

static void claim_put(const struct bh_report *report, const struct bh_guest *guest)
{
    const char *level = bh_criticality_name(guest->criticality.value);

    if (guest->criticality.value == BH_QM) {
        bh_html_put(
            report->html,
            "<p>%s is labelled QM: no safety claim rests on it. For it to work as intended, "
            "all of this must be trusted:</p>\n",
            guest->name.text);
    } else {
        bh_html_put(report->html,
                    "<p>%s is labelled %s. The label is a claim, and no certificate: nothing here "
                    "proves it. For the claim to hold, all of this must be trusted, to the same "
                    "level:</p>\n",
                    guest->name.text, level);
    }
    bh_html_put(report->html, "<ul class=\"trust\">\n");
    bh_trust_list(report->platform, guest, trust_put, (void *)(uintptr_t)report);
    bh_html_put(report->html, "</ul>\n");
}

int bh_report_guests(const struct bh_report *report)
{
    const struct bh_platform *platform = report->platform;

    bh_html_put(report->html, "<section id=\"guests\">\n<h2>Guest by guest</h2>\n");
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];

        bh_html_put(report->html,
                    "<article id=\"guest-%s\">\n<h3>%s <span class=\"level c%u\">%s</span></h3>\n",
                    guest->name.text, guest->name.text, guest->criticality.value,
                    bh_criticality_name(guest->criticality.value));
        facts_put(report, guest);
        bh_html_put(report->html, "<h4>What must be trusted</h4>\n");
        claim_put(report, guest);
        bh_html_put(report->html, "<h4>Memory</h4>\n");
        bh_report_memory(report, i);
        bh_html_put(report->html, "</article>\n");
    }
    bh_html_put(report->html, "</section>\n");
    return BH_OK;
}
