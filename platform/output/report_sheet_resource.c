/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A resource in the drawing: its name, what it is, who keeps its users apart, and who else uses it.
 */
#include <inttypes.h>
#include <string.h>

#include "report_sheet.h"
#include "report_svg.h"
#include "report_text.h"

#define SIZE            12
#define PITCH           15
#define INSET           10
#define ROOM            (BH_RESOURCE_WIDTH - 2 * INSET)
#define NAME_SIZE       13
#define NAME_PITCH      17
#define NAME_LINE       20
#define PORT_STEP       9
#define LINES_MAX       5u
#define NAMED_MAX       3u /* guests that are named in a line */
#define TYPE_LINES_MOST 3

/* The lines below a name, each perhaps broken. */
struct notes {
    char texts[LINES_MAX][400];
    const char *classes[LINES_MAX];
    uint32_t count;
};

static char *note(struct notes *notes, const char *class)
{
    notes->classes[notes->count] = class;
    notes->texts[notes->count][0] = '\0';
    return notes->texts[notes->count++];
}

/* What the host calls it; NULL: nothing. */
static const char *detail_of(const struct bh_resource *resource)
{
    const struct bh_text *texts[] = {&resource->image,     &resource->source, &resource->bus,
                                     &resource->interface, &resource->device, &resource->folder,
                                     &resource->address};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i]->text != NULL) {
            return texts[i]->text;
        }
    }
    return NULL;
}

static void type_note(struct notes *notes, const struct bh_resource *resource)
{
    const char *type = bh_resource_type_name(resource->type.value);
    const char *detail = detail_of(resource);
    char *text = note(notes, "soft");

    /* A path that takes more than a few lines stands in the table of values, and is not cut here. */
    if (detail == NULL || strlen(detail) > 300u ||
        snprintf(text, sizeof(notes->texts[0]), "%s: %s%s", type, detail,
                 resource->read_only.value ? ", read-only" : "") < 0 ||
        bh_svg_line_count("", text, SIZE, ROOM) > TYPE_LINES_MOST) {
        (void)snprintf(text, sizeof(notes->texts[0]), "%s%s", type,
                       resource->read_only.value ? ", read-only" : "");
    }
}

/* Users of different criticality that nobody keeps apart. Random bytes and the time flow to
 * everybody, and nothing comes back. */
static void mixture_note(struct notes *notes, const struct bh_report *report, uint32_t resource)
{
    const struct bh_resource *thing = &report->platform->resources[resource];
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    bool written = false;

    for (uint32_t i = 0; i < report->link_count; i++) {
        const struct bh_report_link *link = &report->links[i];

        if (link->resource == resource) {
            const uint32_t level = link->guest->criticality.value;

            least = level < least ? level : least;
            most = level > most ? level : most;
            written = written || link->to_resource != 0;
        }
    }
    if (written && least < most && thing->mediator.text == NULL) {
        (void)snprintf(note(notes, "b red"), sizeof(notes->texts[0]),
                       "%s and %s meet here, and no mediator is named", bh_criticality_name(least),
                       bh_criticality_name(most));
    }
}

static bool is_drawn(const struct bh_order *order, uint32_t guest)
{
    for (uint32_t i = 0; i < order->guest_count; i++) {
        if (order->guests[i] == guest) {
            return true;
        }
    }
    return false;
}

/* Guests of other sheets that use it. */
static void others_note(struct notes *notes, const struct bh_report *report,
                        const struct bh_order *order, uint32_t resource)
{
    uint32_t last = BH_REPORT_NONE;
    uint32_t count = 0;
    char *text = NULL;
    size_t used = 0;

    for (uint32_t i = 0; i < report->link_count; i++) {
        const struct bh_report_link *link = &report->links[i];

        if (link->resource != resource || link->guest_index == last ||
            is_drawn(order, link->guest_index)) {
            continue;
        }
        last = link->guest_index;
        text = text == NULL ? note(notes, "soft") : text;
        if (count++ < NAMED_MAX) {
            used += (size_t)snprintf(text + used, sizeof(notes->texts[0]) - used, "%s%s",
                                     count == 1 ? "also used by " : ", ", link->guest->name.text);
        }
    }
    if (count > NAMED_MAX) {
        (void)snprintf(text + used, sizeof(notes->texts[0]) - used, " and %" PRIu32 " more",
                       count - NAMED_MAX);
    }
}

static void notes_make(struct notes *notes, const struct bh_report *report,
                       const struct bh_order *order, uint32_t resource)
{
    const struct bh_resource *thing = &report->platform->resources[resource];

    notes->count = 0;
    type_note(notes, thing);
    if (bh_report_is_loose(thing)) {
        (void)snprintf(note(notes, "b red"), sizeof(notes->texts[0]),
                       "masters memory without an IOMMU: reaches ALL memory");
    }
    if (thing->mediator.text != NULL) {
        (void)snprintf(note(notes, ""), sizeof(notes->texts[0]), "mediator: %.380s",
                       thing->mediator.text);
    }
    mixture_note(notes, report, resource);
    others_note(notes, report, order, resource);
}

int bh_resource_height(const struct bh_report *report, const struct bh_order *order,
                       uint32_t resource, uint32_t ports)
{
    const char *name = report->platform->resources[resource].name.text;
    struct notes notes;
    int height = 12 + NAME_PITCH * bh_svg_line_count("b", name, NAME_SIZE, ROOM);

    notes_make(&notes, report, order, resource);
    for (uint32_t i = 0; i < notes.count; i++) {
        height += PITCH * bh_svg_line_count(notes.classes[i], notes.texts[i], SIZE, ROOM);
    }
    return height < PORT_STEP * (int)(ports + 1u) ? PORT_STEP * (int)(ports + 1u) : height;
}

void bh_resource_draw(const struct bh_report *report, const struct bh_order *order,
                      uint32_t resource, int y, int height)
{
    const struct bh_html *html = report->html;
    const struct bh_resource *thing = &report->platform->resources[resource];
    struct notes notes;
    int at;

    bh_svg_rect(html, bh_report_is_loose(thing) ? "resource open" : "resource",
                (struct bh_box){BH_RESOURCE_X, y, BH_RESOURCE_WIDTH, height}, 12);
    at = bh_svg_lines(html, "b", NAME_SIZE, BH_RESOURCE_X + INSET, y + NAME_LINE, ROOM, NAME_PITCH,
                      thing->name.text) -
         2;
    notes_make(&notes, report, order, resource);
    for (uint32_t i = 0; i < notes.count; i++) {
        at = bh_svg_lines(html, notes.classes[i], SIZE, BH_RESOURCE_X + INSET, at, ROOM, PITCH,
                          notes.texts[i]);
    }
}
