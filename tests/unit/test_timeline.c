/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The timeline: what is stamped, once each, and its picture, of which every text has its room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/timeline.h"
#include "platform/definition/index.h"

#define HOUR_USECS UINT64_C(3600000000)

static struct bh_device_definition devices[BH_DEVICES_MAX];
static struct bh_guest guests[BH_GUESTS_MAX];
static const struct bh_guest *by_name[] = {&guests[0], &guests[1]};
static struct bh_index by = {.guests = by_name};
static struct bh_platform platform;
static struct bh_timeline *timeline;
static char *picture;

static int set_up(void **state)
{
    (void)state;
    memset(guests, 0, sizeof(guests));
    memset(devices, 0, sizeof(devices));
    platform = (struct bh_platform){
        .name = {.text = "test"}, .guests = guests, .guest_count = 2, .index = &by};
    guests[0] = (struct bh_guest){.name = {.text = "cluster"}};
    guests[1] = (struct bh_guest){.name = {.text = "ivi"}, .devices = devices, .device_count = 2};
    devices[0].name.text = "root";
    devices[1].name.text = "a-device-with-the-longest-of-name";
    timeline = bh_timeline_create(&platform);
    return timeline != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    bh_timeline_destroy(timeline);
    free(picture);
    picture = NULL;
    return 0;
}

static void draw(void)
{
    size_t size = 0;
    free(picture);
    picture = NULL;
    FILE *to = open_memstream(&picture, &size);
    assert_non_null(to);
    bh_timeline_draw(timeline, to);
    assert_int_equal(fclose(to), 0);
}

static void test_nobody_wants_it(void **state)
{
    (void)state;
    bh_timeline_run(NULL, BH_RUN_BEGINS);
    bh_timeline_guest(NULL, &guests[0], BH_GUEST_TURN);
    bh_timeline_device(NULL, &guests[1], &devices[0], BH_DEVICE_UP);
    bh_timeline_destroy(NULL);
}

/* From the start of this process on. */
static void test_stamps(void **state)
{
    (void)state;
    assert_int_equal(timeline->guests[1].stamps[BH_GUEST_RUNS], BH_STAMP_NONE);
    assert_false(timeline->changed);
    bh_timeline_guest(timeline, &guests[1], BH_GUEST_RUNS);
    uint64_t first = timeline->guests[1].stamps[BH_GUEST_RUNS];
    assert_true(first < HOUR_USECS);
    assert_true(timeline->changed);
    assert_int_equal(timeline->guests[0].stamps[BH_GUEST_RUNS], BH_STAMP_NONE);
    timeline->changed = false;
    (void)usleep(2000);
    bh_timeline_guest(timeline, &guests[1], BH_GUEST_RUNS);
    assert_int_equal(timeline->guests[1].stamps[BH_GUEST_RUNS], first);
    assert_false(timeline->changed);
    bh_timeline_device(timeline, &guests[1], &devices[1], BH_DEVICE_UP);
    assert_true(timeline->guests[1].devices[1][BH_DEVICE_UP] > first);
    assert_int_equal(timeline->guests[1].devices[0][BH_DEVICE_UP], BH_STAMP_NONE);
    bh_timeline_run(timeline, BH_RUN_ALL_READY);
    assert_true(timeline->stamps[BH_RUN_ALL_READY] >= first);
}

/* An end does not stretch the picture; nor does a failure of a guest that was ready. */
static void test_last(void **state)
{
    (void)state;
    uint64_t *stamps = timeline->guests[0].stamps;
    assert_int_equal(bh_timeline_last(timeline), 0);
    timeline->stamps[BH_RUN_FOUND] = 40;
    timeline->guests[1].devices[1][BH_DEVICE_UP] = 70;
    timeline->guests[1].devices[1][BH_DEVICE_ENDS] = 1000;
    timeline->stamps[BH_RUN_ENDS] = 1000;
    stamps[BH_GUEST_ENDS] = 1000;
    assert_int_equal(bh_timeline_last(timeline), 70);
    timeline->stamps[BH_RUN_ALL_READY] = 1000; /* a stop */
    assert_int_equal(bh_timeline_last(timeline), 70);
    stamps[BH_GUEST_FAILED] = 90;
    assert_int_equal(bh_timeline_last(timeline), 90);
    stamps[BH_GUEST_FAILED] = HOUR_USECS;
    assert_int_equal(bh_timeline_last(timeline), 70);
    stamps[BH_GUEST_READY] = 60;
    assert_int_equal(bh_timeline_last(timeline), 70);
}

/* Each text ends within the picture. */
static void expect_room(void)
{
    int width;
    int texts = 0;
    const char *at = strstr(picture, "viewBox=\"0 0 ");
    assert_non_null(at);
    width = (int)strtol(at + strlen("viewBox=\"0 0 "), NULL, 10);
    for (at = strstr(picture, "<text "); at != NULL; at = strstr(at + 1, "<text ")) {
        const char *x = strstr(at, " x=\"");
        const char *room = strstr(at, " data-w=\"");
        assert_true(strtol(x + 4, NULL, 10) + strtol(room + 9, NULL, 10) <= width);
        texts++;
    }
    assert_true(texts > 10);
}

static void fill(uint32_t index, uint64_t from)
{
    for (uint32_t i = 0; i < BH_GUEST_FAILED; i++) {
        timeline->guests[index].stamps[i] = from + i * 10000u;
    }
}

static void test_picture(void **state)
{
    (void)state;
    timeline->stamps[BH_RUN_BEGINS] = 2000;
    timeline->stamps[BH_RUN_FOUND] = 21000;
    fill(0, 3000);
    fill(1, 140000);
    timeline->guests[1].devices[0][BH_DEVICE_STARTED] = 160000;
    timeline->guests[1].devices[0][BH_DEVICE_SERVES] = 165500;
    timeline->guests[1].devices[0][BH_DEVICE_UP] = 200000;
    struct bh_text after = {.text = "cluster"};
    guests[1].after = (struct bh_names){.names = &after, .count = 1};
    timeline->guests[1].stamps[BH_GUEST_READY] = 200400;
    draw();
    assert_non_null(strstr(picture, "xmlns=\"http://www.w3.org/2000/svg\""));
    assert_non_null(strstr(picture, "every guest was ready 200 ms after"));
    assert_non_null(strstr(picture, ">ready at 63 ms<"));
    assert_non_null(strstr(picture, ">serves +5.5, driver up +40<"));
    assert_non_null(strstr(picture, "a-device-with-the-longest-of-name (blk)"));
    assert_null(strstr(picture, "class=\"fail\""));
    expect_room();
}

static void test_picture_of_a_failure(void **state)
{
    (void)state;
    timeline->guests[0].stamps[BH_GUEST_PREPARES] = 1000;
    timeline->guests[0].stamps[BH_GUEST_PREPARED] = 2000;
    timeline->guests[0].stamps[BH_GUEST_FAILED] = 90000;
    draw();
    assert_non_null(strstr(picture, ">failed at 90 ms<"));
    assert_non_null(strstr(picture, "test: 0 of 2 guests became ready"));
    expect_room();
}

/* Nothing has happened yet, or for days. */
static void test_picture_of_extremes(void **state)
{
    (void)state;
    draw();
    expect_room();
    fill(0, 0);
    timeline->guests[0].stamps[BH_GUEST_READY] = 100 * HOUR_USECS;
    draw();
    assert_non_null(strstr(picture, ">ready at 360000000 ms<"));
    expect_room();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_nobody_wants_it),
        CASE(test_stamps),
        CASE(test_last),
        CASE(test_picture),
        CASE(test_picture_of_a_failure),
        CASE(test_picture_of_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
