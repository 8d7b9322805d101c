/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lies where in a guest's memory, and who can reach it: a drawing whose heights are
 * logarithmic, with its empty parts broken out, and a table with every address.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "platform/layout/layout_text.h"
#include "report.h"
#include "report_svg.h"
#include "report_text.h"

#define PIECES_MAX  (BH_DEVICES_MAX + BH_REGIONS_MAX + BH_SEGMENTS_MAX + 16u)
#define REACH_BYTES 160u

/* The drawing's columns: addresses, the bar, who can reach it. */
#define WIDTH       860
#define BAR_X       110
#define BAR_WIDTH   300
#define REACH_X     (BAR_X + BAR_WIDTH + 16)
#define REACH_ROOM  (WIDTH - REACH_X)
#define TOP         24
#define STEP_LEAST  22 /* height of 4 KiB and less */
#define STEP_DOUBLE 2  /* more for each doubling */
#define BREAK       22

enum piece_kind {
    PIECE_REGISTERS, /* of a device */
    PIECE_PRIVATE,
    PIECE_SHARED, /* with back ends */
    PIECE_GATED,  /* with the gate */
    PIECE_WINDOW,
    PIECE_RINGS, /* of a window */
    PIECE_RESERVED,
    PIECE_IMAGE, /* lies in RAM */
};

struct piece {
    enum piece_kind kind;
    uint64_t address;
    uint64_t size;
    char name[96];
    const char *reach; /* who can reach it; "" as what it lies in */
    bool bad;          /* more than should */
};

struct memory {
    const struct bh_report *report;
    const struct bh_layout *layout;
    struct piece pieces[PIECES_MAX];
    uint32_t count;
    char windows[BH_DEVICES_MAX][REACH_BYTES]; /* who reaches a window, or the data of it */
    char rings[REACH_BYTES];                   /* who reaches the rings of one */
    char shared[BH_DEVICES_MAX * (BH_NAME_MAX + 2u) + REACH_BYTES]; /* who reaches shared RAM */
    char own[REACH_BYTES];                                          /* who reaches private RAM */
};

/* ------------------------------------------------------------------------------------------------
 * pieces */

static struct piece *piece_add(struct memory *memory, enum piece_kind kind, uint64_t address,
                               uint64_t size, const char *reach)
{
    struct piece *piece = &memory->pieces[memory->count];

    if (size == 0 || memory->count == PIECES_MAX) {
        return NULL;
    }
    memory->count++;
    *piece = (struct piece){.kind = kind, .address = address, .size = size, .reach = reach};
    return piece;
}

static void named_add(struct memory *memory, enum piece_kind kind, uint64_t address, uint64_t size,
                      const char *reach, const char *name)
{
    struct piece *piece = piece_add(memory, kind, address, size, reach);

    if (piece != NULL) {
        (void)snprintf(piece->name, sizeof(piece->name), "%s", name);
        piece->bad = kind == PIECE_SHARED || ((kind == PIECE_PRIVATE || kind == PIECE_GATED) &&
                                              bh_report_loose(memory->report->platform) != NULL);
    }
}

static void images_add(struct memory *memory)
{
    const struct bh_layout *layout = memory->layout;

    named_add(memory, PIECE_IMAGE, layout->tree.address, layout->tree.size, "", "device tree");
    named_add(memory, PIECE_IMAGE, layout->start.address, layout->start.size, "", "start code");
    named_add(memory, PIECE_IMAGE, layout->kernel.address, layout->kernel.size, "", "kernel");
    named_add(memory, PIECE_IMAGE, layout->initrd.address, layout->initrd.size, "", "initrd");
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        named_add(memory, PIECE_IMAGE, layout->segments[i].address, layout->segments[i].size, "",
                  "program");
    }
}

static void region_add(struct memory *memory, const struct bh_layout_region *region)
{
    const struct bh_guest *guest = memory->layout->guest;
    char name[96];

    switch (region->kind) {
    case BH_REGION_PRIVATE:
        named_add(memory, PIECE_PRIVATE, region->address, region->size, memory->own, "private RAM");
        images_add(memory);
        break;
    case BH_REGION_SHARED:
        named_add(memory, bh_guest_has_open(guest) ? PIECE_SHARED : PIECE_GATED, region->address,
                  region->size, memory->shared,
                  bh_guest_has_open(guest) ? "RAM, shared as a whole"
                                           : "RAM, shared with the gate");
        images_add(memory);
        break;
    case BH_REGION_WINDOW:
        (void)snprintf(name, sizeof(name), "%s of %s",
                       !bh_layout_is_part(memory->layout, region) ? "window"
                       : region->rings                            ? "rings"
                                                                  : "data",
                       guest->devices[region->device].name.text);
        named_add(memory, region->rings ? PIECE_RINGS : PIECE_WINDOW, region->address, region->size,
                  region->rings ? memory->rings : memory->windows[region->device], name);
        break;
    case BH_REGION_RESERVED:
        (void)snprintf(name, sizeof(name), "place of %s, left out",
                       guest->devices[region->device].name.text);
        named_add(memory, PIECE_RESERVED, region->address, region->size,
                  "nobody: no memory is there", name);
        break;
    }
}

/* By slot, which is by address. */
static void registers_add(struct memory *memory)
{
    const struct bh_layout *layout = memory->layout;
    const struct bh_guest *guest = layout->guest;
    char name[96];

    for (uint32_t slot = 0; slot < BH_VIRT_SLOTS && guest->arch.value == BH_ARCH_ARM64; slot++) {
        for (uint32_t i = 0; i < guest->device_count; i++) {
            if (layout->slots[i] == slot && !guest->devices[i].left_out) {
                (void)snprintf(name, sizeof(name), "slot %" PRIu32 ": %s", slot,
                               guest->devices[i].name.text);
                named_add(memory, PIECE_REGISTERS, BH_VIRT_SLOT + slot * BH_VIRT_SLOT_BYTES,
                          BH_VIRT_SLOT_BYTES, "guest, engine", name);
            }
        }
    }
    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];

        if (device->type.value == BH_DEVICE_PASSTHROUGH && !device->left_out) {
            (void)snprintf(name, sizeof(name), "registers of %s", device->name.text);
            named_add(memory, PIECE_REGISTERS, device->registers.value,
                      device->register_bytes.value, "guest, engine: hardware as it is", name);
        }
    }
}

static void pieces_sort(struct memory *memory)
{
    for (uint32_t i = 1; i < memory->count; i++) {
        const struct piece moving = memory->pieces[i];
        uint32_t j = i;

        for (; j > 0 && memory->pieces[j - 1u].address > moving.address; j--) {
            memory->pieces[j] = memory->pieces[j - 1u];
        }
        memory->pieces[j] = moving;
    }
}

/* Who reaches RAM that is shared: the open ones by name. */
static void shared_make(struct memory *memory, const char *hardware)
{
    const struct bh_guest *guest = memory->layout->guest;
    size_t used = (size_t)snprintf(memory->shared, sizeof(memory->shared), "guest, engine, gate");
    bool any = false;

    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];

        if (bh_report_has_process(device) && device->isolation.value == BH_ISOLATION_OPEN) {
            used += (size_t)snprintf(memory->shared + used, sizeof(memory->shared) - used, "%s%s",
                                     any ? ", " : ", open back ends of ", device->name.text);
            any = true;
        }
    }
    (void)snprintf(memory->shared + used, sizeof(memory->shared) - used, "%s", hardware);
}

static void reach_make(struct memory *memory)
{
    const struct bh_guest *guest = memory->layout->guest;
    const struct bh_resource *loose = bh_report_loose(memory->report->platform);
    const char *open = bh_guest_has_open(guest) ? ", open back ends" : "";
    char hardware[BH_NAME_MAX + 32u] = "";

    if (loose != NULL) {
        (void)snprintf(hardware, sizeof(hardware), ", hardware %.32s (no IOMMU)", loose->name.text);
    }
    (void)snprintf(memory->own, sizeof(memory->own), "guest, engine%s", hardware);
    (void)snprintf(memory->rings, sizeof(memory->rings), "guest, engine, gate%s%s", open, hardware);
    for (uint32_t i = 0; i < guest->device_count; i++) {
        (void)snprintf(memory->windows[i], sizeof(memory->windows[i]),
                       "guest, engine, gate, back end of %.32s%s%s", guest->devices[i].name.text,
                       open, hardware);
    }
    shared_make(memory, hardware);
}

/* ------------------------------------------------------------------------------------------------
 * the drawing */

static const char *class_of(const struct piece *piece)
{
    static const char *const classes[] = {
        [PIECE_REGISTERS] = "mem regs", [PIECE_PRIVATE] = "mem private",
        [PIECE_SHARED] = "mem shared",  [PIECE_WINDOW] = "mem window",
        [PIECE_RESERVED] = "mem gone",  [PIECE_IMAGE] = "mem image",
        [PIECE_GATED] = "mem gated",    [PIECE_RINGS] = "mem rings",
    };

    return piece->bad ? "mem shared" : classes[piece->kind];
}

static int height_of(uint64_t size)
{
    int height = STEP_LEAST;

    for (uint64_t bytes = size; bytes > 4096u; bytes /= 2u) {
        height += STEP_DOUBLE;
    }
    return height;
}

/* Of a piece with what lies in it: RAM shows its images inside, below a line of its own. */
static int piece_height(const struct memory *memory, uint32_t index, uint32_t *inside)
{
    const struct piece *piece = &memory->pieces[index];
    int height = height_of(piece->size);
    int images = 0;

    *inside = 0;
    for (uint32_t i = index + 1u; i < memory->count && memory->pieces[i].kind == PIECE_IMAGE; i++) {
        images += height_of(memory->pieces[i].size) + 3;
        (*inside)++;
    }
    height = images > 0 && height < STEP_LEAST + images + 10 ? STEP_LEAST + images + 10 : height;

    const int text =
        14 * bh_svg_line_count(piece->bad ? "b red" : "", piece->reach, 12, REACH_ROOM) + 8;

    return height < text ? text : height;
}

/* A size with its unit, where the definition would write none. */
static struct bh_size_text bytes_text(uint64_t size)
{
    struct bh_size_text text = bh_size_text_make(size);
    const size_t length = strlen(text.text);

    if (text.text[length - 1u] <= '9') {
        (void)snprintf(text.text + length, sizeof(text.text) - length, " B");
    }
    return text;
}

static void address_put(const struct bh_html *html, uint64_t address, int y)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "0x%09" PRIx64, address);
    bh_svg_text(html, "soft", 12, "end", BAR_X - 8, y, text);
}

static void label_put(const struct bh_html *html, const struct piece *piece, int x, int room, int y)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "%s, %s", piece->name, bytes_text(piece->size).text);
    bh_svg_text(html, piece->kind == PIECE_RESERVED ? "soft" : "",
                bh_text_fit(text, 12, false, room), NULL, x, y, text);
}

static void piece_draw(const struct memory *memory, uint32_t index, int y, int height,
                       uint32_t inside)
{
    const struct bh_html *html = memory->report->html;
    const struct piece *piece = &memory->pieces[index];
    int at = y + STEP_LEAST;

    bh_svg_rect(html, class_of(piece), (struct bh_box){BAR_X, y, BAR_WIDTH, height}, 0);
    address_put(html, piece->address, y + 11);
    label_put(html, piece, BAR_X + 8, BAR_WIDTH - 16, y + 15);
    (void)bh_svg_lines(html, piece->bad ? "b red" : "", 12, REACH_X, y + 15, REACH_ROOM, 14,
                       piece->reach);
    for (uint32_t i = index + 1u; i <= index + inside; i++) {
        const struct piece *image = &memory->pieces[i];
        const int room = height_of(image->size);

        bh_svg_rect(html, class_of(image), (struct bh_box){BAR_X + 24, at, BAR_WIDTH - 48, room},
                    0);
        label_put(html, image, BAR_X + 32, BAR_WIDTH - 64, at + 15);
        at += room + 3;
    }
}

/* Draws, or with `draw` false only measures; the y below. */
static int pieces_draw(const struct memory *memory, bool draw)
{
    int y = TOP;
    uint64_t end = memory->count > 0 ? memory->pieces[0].address : 0;

    for (uint32_t i = 0; i < memory->count;) {
        const struct piece *piece = &memory->pieces[i];
        uint32_t inside;
        const int height = piece_height(memory, i, &inside);

        if (piece->address != end) {
            if (draw) {
                bh_svg_line(memory->report->html, "break", BAR_X + 4, y + 8, BAR_X + BAR_WIDTH - 4,
                            y + 4);
                bh_svg_line(memory->report->html, "break", BAR_X + 4, y + 17, BAR_X + BAR_WIDTH - 4,
                            y + 13);
            }
            y += BREAK;
        }
        if (draw) {
            piece_draw(memory, i, y, height, inside);
        }
        end = piece->address + piece->size;
        y += height;
        i += 1u + inside;
    }
    return y;
}

static void drawing_put(const struct memory *memory)
{
    const struct bh_html *html = memory->report->html;
    const char *guest = memory->layout->guest->name.text;
    char id[BH_NAME_MAX + 16u];
    char title[BH_NAME_MAX + 32u];

    (void)snprintf(id, sizeof(id), "memory-%.32s", guest);
    (void)snprintf(title, sizeof(title), "Memory of %.32s", guest);
    bh_svg_begin(html, id, title, "By address, from the lowest. The table below has the same.",
                 WIDTH, pieces_draw(memory, false) + 8);
    bh_svg_text(html, "soft", 12, "end", BAR_X - 8, 14, "address");
    bh_svg_text(html, "soft", 12, NULL, BAR_X, 14, "heights are logarithmic");
    bh_svg_text(html, "soft", 12, NULL, REACH_X, 14, "who can reach it");
    (void)pieces_draw(memory, true);
    bh_svg_end(html);
}

static void table_put(const struct memory *memory)
{
    const struct bh_html *html = memory->report->html;

    bh_html_put(html, "<div class=\"scroll\"><table class=\"memory\">\n"
                      "<thead><tr><th scope=\"col\">First</th><th scope=\"col\">Last</th>"
                      "<th scope=\"col\" class=\"n\">Size</th><th scope=\"col\">What</th>"
                      "<th scope=\"col\">Who can reach it</th></tr></thead>\n<tbody>\n");
    for (uint32_t i = 0; i < memory->count; i++) {
        const struct piece *piece = &memory->pieces[i];
        char first[24];
        char last[24];

        (void)snprintf(first, sizeof(first), "0x%09" PRIx64, piece->address);
        (void)snprintf(last, sizeof(last), "0x%09" PRIx64, piece->address + piece->size - 1u);
        bh_html_markup(html, piece->bad                   ? "<tr class=\"bad\">"
                             : piece->kind == PIECE_IMAGE ? "<tr class=\"inner\">"
                                                          : "<tr>");
        bh_html_put(html,
                    "<td><code>%s</code></td><td><code>%s</code></td><td class=\"n\">%s</td>"
                    "<th scope=\"row\">%s</th><td>%s%s</td></tr>\n",
                    first, last, bytes_text(piece->size).text, piece->name,
                    piece->bad ? "OPEN: " : "",
                    piece->reach[0] == '\0' ? "as the RAM around it" : piece->reach);
    }
    bh_html_put(html, "</tbody></table></div>\n");
}

void bh_report_memory(const struct bh_report *report, uint32_t guest)
{
    struct memory memory = {.report = report, .layout = &report->built[guest].layout};

    reach_make(&memory);
    registers_add(&memory);
    for (uint32_t i = 0; i < memory.layout->region_count; i++) {
        region_add(&memory, &memory.layout->regions[i]);
    }
    pieces_sort(&memory);
    if (memory.layout->guest->layout.value == BH_LAYOUT_ENGINE) {
        bh_html_put(report->html,
                    "<p class=\"note\">The engine, or the firmware, places what this guest boots; "
                    "addresses below are of its RAM as a whole.</p>\n");
    }
    drawing_put(&memory);
    table_put(&memory);
}
