/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: what is asked and what is answered. The other end is
 * test_control_hostile.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control_rig.h"

/* ------------------------------------------------------------------------------------------------
 * requests */

static void test_control_status(void **state)
{
    char *answer;
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    assert_int_equal(control_rig_call(fd, "{\"request\": \"status\"}", &answer), BH_OK);
    assert_string_equal(answer, "{\"ok\": true, \"status\": {\"platform\": \"p\"}}");
    free(answer);
    assert_string_equal(control_rig.guest, "-");
    control_rig_expect(fd, "{\"request\": \"status\", \"guest\": \"a\"}", "\"platform\": \"p\"");
    assert_string_equal(control_rig.guest, "a");
    control_rig_expect(fd, "{\"request\": \"status\", \"guest\": \"none\"}", "no such guest");
    control_rig_expect(fd, "{\"request\": \"status\", \"device\": \"a\"}", "\"ok\": false");
    control_rig.status = NULL;
    control_rig_expect(fd, "{\"request\": \"status\"}", "no memory");
    (void)close(fd);
}

static void test_control_status_of_the_largest_size(void **state)
{
    char *answer;
    const size_t around = strlen("{\"ok\": true, \"status\": }");
    char *text = malloc(BH_CONTROL_BYTES_MAX);
    (void)state;
    assert_non_null(text);
    memset(text, ' ', BH_CONTROL_BYTES_MAX);
    text[0] = '1';
    text[BH_CONTROL_BYTES_MAX - around] = '\0';
    control_rig.status = text;
    control_rig_serve();
    int fd = control_rig_client();
    assert_int_equal(control_rig_call(fd, "{\"request\": \"status\"}", &answer), BH_OK);
    assert_int_equal(strlen(answer), BH_CONTROL_BYTES_MAX);
    free(answer);
    text[BH_CONTROL_BYTES_MAX - around] = ' ';
    text[BH_CONTROL_BYTES_MAX - around + 1u] = '\0';
    control_rig_expect(fd, "{\"request\": \"status\"}", "too long");
    (void)close(fd);
    control_rig_rest();
    free(text);
}

static void test_control_stop(void **state)
{
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    control_rig_expect(fd, "{\"request\": \"stop\"}", "{\"ok\": true}");
    assert_string_equal(control_rig.guest, "-");
    control_rig_expect(fd, "{\"request\": \"stop\", \"guest\": \"ivi\"}", "{\"ok\": true}");
    assert_string_equal(control_rig.guest, "ivi");
    control_rig_expect(fd, "{\"request\": \"stop\", \"guest\": \"none\"}",
                       "no guest \\\"none\\\" here");
    control_rig_expect(fd, "{\"request\": \"stop\", \"guest\": \"mute\"}", "\"error\": \"state\"");
    assert_int_equal(atomic_load(&control_rig.stops), 4);
    control_rig_expect(fd, "{\"request\": \"stop\", \"guest\": 1}", "\"ok\": false");
    control_rig_expect(fd, "{\"request\": \"stop\", \"guests\": \"ivi\"}", "\"ok\": false");
    assert_int_equal(atomic_load(&control_rig.stops), 4);
    (void)close(fd);
}

static void test_control_mode(void **state)
{
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    control_rig_expect(fd, "{\"request\": \"mode\"}",
                       "{\"ok\": true, \"mode\": \"drive\", \"modes\": [\"drive\", \"park\"]}");
    assert_string_equal(control_rig.mode, "-");
    control_rig_expect(fd, "{\"request\": \"mode\", \"mode\": \"park\"}", "\"mode\": \"park\"");
    assert_string_equal(control_rig.mode, "park");
    control_rig_expect(fd, "{\"request\": \"mode\", \"mode\": \"none\"}",
                       "{\"ok\": false, \"error\": \"no such mode\"}");
    control_rig_expect(fd, "{\"request\": \"mode\", \"mode\": 1}", "\"ok\": false");
    control_rig_expect(fd, "{\"request\": \"mode\", \"guest\": \"ivi\"}", "\"ok\": false");
    assert_string_equal(control_rig.mode, "none");
    (void)close(fd);
}

static void test_control_attach_hands_a_terminal_over(void **state)
{
    char *answer;
    char text[8];
    int terminal;
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    control_rig_expect(fd, "{\"request\": \"resize\", \"rows\": 24, \"columns\": 80}",
                       "attach first");
    assert_int_equal(bh_control_call(fd,
                                     "{\"request\": \"attach\", \"guest\": \"ivi\", \"device\": "
                                     "\"console\", \"port\": \"diag\"}",
                                     PATIENCE, &answer, &terminal),
                     BH_OK);
    free(answer);
    assert_string_equal(control_rig.guest, "ivi");
    assert_string_equal(control_rig.device, "console");
    assert_string_equal(control_rig.port, "diag");
    assert_true(terminal >= 0);
    assert_int_equal(fcntl(terminal, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(terminal, "abc", 3), 3);
    assert_int_equal(read(control_rig.terminal_fd, text, sizeof(text)), 3);
    control_rig_expect(fd, "{\"request\": \"resize\", \"rows\": 24, \"columns\": 80}",
                       "{\"ok\": true}");
    assert_int_equal(atomic_load(&control_rig.sizes), 24u << 16 | 80u);
    control_rig_expect(fd, "{\"request\": \"attach\", \"guest\": \"ivi\"}", "attached already");
    for (size_t i = 0; i < 3; i++) {
        static const char *const bad[] = {
            "{\"request\": \"resize\", \"rows\": -1, \"columns\": 80}",
            "{\"request\": \"resize\", \"rows\": 24, \"columns\": 65536}",
            "{\"request\": \"resize\", \"rows\": 24}"};
        control_rig_expect(fd, bad[i], "\"ok\": false");
    }
    assert_int_equal(atomic_load(&control_rig.sizes), 24u << 16 | 80u);
    (void)close(terminal); /* the control keeps no copy: the other end sees the end */
    assert_int_equal(read(control_rig.terminal_fd, text, sizeof(text)), 0);
    (void)close(fd);
}

static void test_control_attach_refused(void **state)
{
    char *answer;
    int terminal;
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    assert_int_equal(bh_control_call(fd, "{\"request\": \"attach\", \"guest\": \"none\"}", PATIENCE,
                                     &answer, &terminal),
                     BH_OK);
    assert_non_null(strstr(answer, "no such guest"));
    assert_int_equal(terminal, -1);
    assert_string_equal(control_rig.device, "-");
    free(answer);
    control_rig_expect(fd, "{\"request\": \"attach\"}", "\"ok\": false");
    (void)close(fd);
}

static void test_control_descriptor_nobody_asked_for_is_closed(void **state)
{
    char *answer;
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    assert_int_equal(control_rig_call(fd, "{\"request\": \"attach\", \"guest\": \"a\"}", &answer),
                     BH_PROTOCOL);
    assert_null(answer);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_CASE(test_control_status),
        CONTROL_CASE(test_control_status_of_the_largest_size),
        CONTROL_CASE(test_control_stop),
        CONTROL_CASE(test_control_mode),
        CONTROL_CASE(test_control_attach_hands_a_terminal_over),
        CONTROL_CASE(test_control_attach_refused),
        CONTROL_CASE(test_control_descriptor_nobody_asked_for_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
