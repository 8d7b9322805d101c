/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the report by themselves: escaping, where lines break, what is drawn in which order
 * and where. The page as a whole is tests/platform/test_report.py's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_markup.h"
#include "platform/output/report_order.h"
#include "platform/output/report_svg.h"
#include "platform/output/report_text.h"

/* ------------------------------------------------------------------------------------------------
 * writing */

static char *written;
static size_t written_length;

static struct bh_html writer(void)
{
    struct bh_html html = {open_memstream(&written, &written_length)};

    assert_non_null(html.to);
    return html;
}

static void assert_written(const struct bh_html *html, const char *expected)
{
    assert_int_equal(fclose(html->to), 0);
    assert_string_equal(written, expected);
    free(written);
}

static void test_escape(void **state)
{
    struct bh_html html = writer();

    (void)state;
    bh_html_put(&html, "<p title=\"%s\">%s</p>", "a\"b'c", "<b>&amp;</b>");
    assert_written(&html, "<p title=\"a&quot;b&#39;c\">&lt;b&gt;&amp;amp;&lt;/b&gt;</p>");
}

static void test_numbers(void **state)
{
    struct bh_html html = writer();

    (void)state;
    bh_html_put(&html, "%d %u %lu 5%%", -3, 4000000000u, 18446744073709551615ul);
    bh_html_markup(&html, "<br/>");
    assert_written(&html, "-3 4000000000 18446744073709551615 5%<br/>");
}

/* What no XML may hold, or a reader would see otherwise than it is: one mark each. */
static void test_harmless(void **state)
{
    struct bh_html html = writer();

    (void)state;
    bh_html_put(&html, "%s|%s|%s|%s|%s", "a\x01z", "a\xff\xc3z", "\xe2\x80\xae", "\xef\xbf\xbe",
                "\xc3\xa4\xe2\x86\x92");
    assert_written(&html, "a\xef\xbf\xbdz|a\xef\xbf\xbd\xef\xbf\xbdz|\xef\xbf\xbd|\xef\xbf\xbd|"
                          "\xc3\xa4\xe2\x86\x92");
}

/* ------------------------------------------------------------------------------------------------
 * texts */

static void test_width(void **state)
{
    (void)state;
    assert_int_equal(bh_text_width("", 0, 12, false), 0);
    assert_int_equal(bh_text_width("mm", 2, 10, false), 20); /* 9.75 each */
    assert_true(bh_text_width("mm", 2, 10, true) > 20);
    assert_int_equal(bh_text_width("\xe6\x97\xa5", 3, 10, false), 12); /* takes two columns */
    assert_int_equal(bh_text_width("mmm", 1, 10, false), 10);          /* its length counts */
}

static void test_fit(void **state)
{
    (void)state;
    assert_int_equal(bh_text_fit("mm", 14, false, 100), 14);
    assert_int_equal(bh_text_fit("mmmmmmmmmm", 14, false, 100), 10);
    assert_int_equal(bh_text_fit("mmmmmmmmmm", 14, false, 1), 7);
}

static void wrapped(const char *text, int room, const char *expected)
{
    struct bh_text_lines lines;
    char joined[256] = "";

    bh_text_wrap(&lines, text, 10, false, room);
    for (int i = 0; i < lines.count; i++) {
        const size_t used = strlen(joined);

        (void)snprintf(joined + used, sizeof(joined) - used, "%s%.*s", i == 0 ? "" : "|",
                       (int)lines.lengths[i], lines.starts[i]);
        assert_true(bh_text_width(lines.starts[i], lines.lengths[i], 10, false) <= room);
    }
    assert_string_equal(joined, expected);
}

static void test_wrap(void **state)
{
    (void)state;
    wrapped("", 50, "");
    wrapped("  ", 50, "");
    wrapped("mmm mm mmmm", 50, "mmm|mm|mmmm");
    wrapped("mm mm mm", 100, "mm mm mm");
    wrapped(" mm  mm ", 30, "mm|mm");
    /* A word that is too long: behind its hyphen, or anywhere. */
    wrapped("mmm-mmm", 50, "mmm-|mmm");
    wrapped("mmmmmmm", 30, "mmm|mmm|m");
    wrapped("mm mmmmm", 40, "mm|mmmm|m");
    wrapped("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", 20, "\xc3\xa4\xc3\xa4|\xc3\xa4\xc3\xa4");
}

/* Not even one character fits: one is taken all the same, and the lines are bounded. */
static void test_wrap_ends(void **state)
{
    struct bh_text_lines lines;
    char text[200];

    (void)state;
    memset(text, 'm', sizeof(text) - 1u);
    text[sizeof(text) - 1u] = '\0';
    bh_text_wrap(&lines, text, 10, false, 1);
    assert_int_equal(lines.count, BH_TEXT_LINES_MAX);
    assert_int_equal(lines.lengths[0], 1);
}

/* ------------------------------------------------------------------------------------------------
 * shapes */

static void test_text_says_its_width(void **state)
{
    struct bh_html html = writer();

    (void)state;
    bh_svg_text(&html, "b red", 10, "end", 5, 6, "<m");
    assert_int_equal(fclose(html.to), 0);
    assert_non_null(strstr(written, "text-anchor=\"end\""));
    assert_non_null(strstr(written, "data-w=\"21\">&lt;m</text>")); /* (8.38 + 9.75) * 1.15 */
    free(written);
}

static void test_edge_heads(void **state)
{
    struct bh_html html = writer();

    (void)state;
    bh_svg_edge(&html, "in", 0, 0, 100, 50, true, false);
    assert_int_equal(fclose(html.to), 0);
    /* The line ends below its head, which has its tip where the data arrives. */
    assert_non_null(strstr(written, "class=\"edge in\" d=\"M8 0C54 0 54 50 100 50\""));
    assert_non_null(strstr(written, "class=\"head in\" d=\"M0 0l9 -4v8z\""));
    assert_null(strstr(written, "M100 50"));
    free(written);
}

/* ------------------------------------------------------------------------------------------------
 * order */

#define GUESTS 3u

/* Three guests with two devices each; `uses` says which resource each has. */
struct platform {
    struct bh_guest guests[GUESTS];
    struct bh_device_definition devices[GUESTS][2];
    struct bh_report_link links[2u * GUESTS];
    struct bh_platform platform;
    struct bh_report report;
};

static void platform_make(struct platform *made, const uint32_t *uses)
{
    memset(made, 0, sizeof(*made));
    for (uint32_t i = 0; i < 2u * GUESTS; i++) {
        made->links[i].guest = &made->guests[i / 2u];
        made->links[i].device = &made->devices[i / 2u][i % 2u];
        made->links[i].guest_index = i / 2u;
        made->links[i].resource = uses[i];
    }
    for (uint32_t i = 0; i <= GUESTS; i++) {
        made->report.first[i] = 2u * i;
    }
    made->platform.guests = made->guests;
    made->platform.guest_count = GUESTS;
    made->report.platform = &made->platform;
    made->report.links = made->links;
    made->report.link_count = 2u * GUESTS;
}

static void ordered(const uint32_t *uses, const uint32_t *rows, const uint32_t *resources,
                    uint32_t count)
{
    static const uint32_t guests[GUESTS] = {0, 1, 2};
    struct platform made;
    struct bh_order order;

    platform_make(&made, uses);
    bh_order_make(&order, &made.report, guests, GUESTS);
    assert_int_equal(order.row_count, 2u * GUESTS);
    assert_int_equal(order.resource_count, count);
    for (uint32_t i = 0; i < order.row_count; i++) {
        assert_int_equal(order.rows[i] - made.links, rows[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(order.resources[i], resources[i]);
        assert_int_equal(bh_order_place(&order, resources[i]), i);
    }
}

/* Nothing crosses: everything stays as it is written. */
static void test_order_stays(void **state)
{
    static const uint32_t uses[] = {0, 1, 2, 3, 4, 5};
    static const uint32_t rows[] = {0, 1, 2, 3, 4, 5};
    static const uint32_t resources[] = {0, 1, 2, 3, 4, 5};

    (void)state;
    ordered(uses, rows, resources, 6);
}

/* A resource that neighbours share comes between what is their own. */
static void test_order_uncrosses(void **state)
{
    static const uint32_t uses[] = {9, 0, 9, 1, BH_REPORT_NONE, 2};
    static const uint32_t rows[] = {1, 0, 2, 3, 5, 4};
    static const uint32_t resources[] = {0, 9, 1, 2};

    (void)state;
    ordered(uses, rows, resources, 4);
}

static void test_order_nowhere(void **state)
{
    static const uint32_t uses[] = {0, 0, 0, 0, 0, 0};
    static const uint32_t guests[GUESTS] = {0, 1, 2};
    struct platform made;
    struct bh_order order;

    (void)state;
    platform_make(&made, uses);
    bh_order_make(&order, &made.report, guests, GUESTS);
    assert_int_equal(bh_order_place(&order, 1), BH_REPORT_NONE);
    assert_int_equal(bh_order_place(&order, BH_REPORT_NONE), BH_REPORT_NONE);
}

static void test_spread(void **state)
{
    static const int apart[] = {20, 100};
    static const int near[] = {50, 52, 54};
    static const int above[] = {0, 2};
    static const int heights[] = {20, 20, 20};
    int tops[3];

    (void)state;
    bh_order_spread(apart, heights, tops, 2, 5, 0);
    assert_int_equal(tops[0], 10);
    assert_int_equal(tops[1], 90);
    /* As near as three can be, and the middle one where it wants to be. */
    bh_order_spread(near, heights, tops, 3, 5, 0);
    assert_int_equal(tops[1], 42);
    assert_int_equal(tops[0], 17);
    assert_int_equal(tops[2], 67);
    bh_order_spread(above, heights, tops, 2, 5, 7);
    assert_int_equal(tops[0], 7);
    assert_int_equal(tops[1], 32);
}

/* ------------------------------------------------------------------------------------------------
 * the page */

static const char definition[] =
    "bulkhead: 1\n"
    "name: car\n"
    "modes: [drive, workshop]\n"
    "resources:\n"
    "  disk: { type: disk, image: \"a <disk>.img\" }\n"
    "guests:\n"
    "  one:\n"
    "    arch: arm64\n"
    "    memory: 64M\n"
    "    boot: { kernel: Image }\n"
    "    devices:\n"
    "      root: { type: blk, resource: disk }\n"
    "policy:\n"
    "  - { guest: one, resource: disk, allow: [read] }\n"
    "  - { guest: one, resource: disk, allow: [write], modes: [workshop] }\n";

/* The page of what `definition` says; allocated. */
static char *page_make(void)
{
    char path[] = "/tmp/bulkhead-report-XXXXXX";
    const int fd = mkstemp(path);
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(path);
    struct bh_boot_images images = {-1, -1, -1, -1, .kernel_bytes = 1u << 20};
    struct bh_platform *platform = NULL;
    struct bh_built built = {.tree = NULL};
    char *page;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, definition, sizeof(definition) - 1u), sizeof(definition) - 1u);
    assert_int_equal(close(fd), 0);
    assert_int_equal(bh_platform_read(&platform, path, diagnostics), BH_OK);
    assert_int_equal(bh_layout_make(&built.layout, &platform->guests[0], &images, diagnostics),
                     BH_OK);
    page = bh_report_html(platform, &built, diagnostics);
    bh_platform_destroy(platform);
    bh_diagnostics_destroy(diagnostics);
    assert_int_equal(unlink(path), 0);
    assert_non_null(page);
    return page;
}

static void test_page(void **state)
{
    char *page = page_make();

    (void)state;
    assert_non_null(strstr(page, "<h1>car</h1>"));
    assert_non_null(strstr(page, "a &lt;disk&gt;.img"));
    assert_non_null(strstr(page, "drive: read"));
    assert_non_null(strstr(page, "workshop: read, write"));
    assert_null(strstr(page, "<disk>"));
    assert_null(strstr(page, "/tmp/"));
    assert_non_null(strstr(page, "</html>"));
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_harmless),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_wrap_ends),
        cmocka_unit_test(test_text_says_its_width),
        cmocka_unit_test(test_edge_heads),
        cmocka_unit_test(test_order_stays),
        cmocka_unit_test(test_order_uncrosses),
        cmocka_unit_test(test_order_nowhere),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
