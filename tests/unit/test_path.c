/* SPDX-License-Identifier: BSD-2-Clause */
/* Which paths mean a descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bulkhead/host_path.h"

static void test_path_of_a_descriptor(void **state)
{
    (void)state;
    assert_int_equal(bh_path_fd("/dev/fd/0"), 0);
    assert_int_equal(bh_path_fd("/dev/fd/17"), 17);
    assert_int_equal(bh_path_fd("/dev/fd/65535"), BH_PATH_FD_MAX);
    assert_int_equal(bh_path_fd("/dev/fd/007"), 7);
}

static void test_path_of_no_descriptor(void **state)
{
    static const char *const wrong[] = {
        "/dev/fd/",    "/dev/fd/x",     "/dev/fd/1x",
        "/dev/fd/-1",  "/dev/fd/+1",    "/dev/fd/ 1",
        "/dev/fd/1 ",  "/dev/fd/1/2",   "/dev/fd/0x10",
        "/dev/fd//1",  "/dev/fd/65536", "/dev/fd/4294967297",
        "/dev/fd/1\n", "/dev/fd/.",     "/dev/fd/18446744073709551617"};

    (void)state;
    for (uint32_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(bh_path_fd(wrong[i]), BH_INVALID);
    }
}

static void test_path_of_something_else(void **state)
{
    static const char *const others[] = {"",         "3",          "/dev/fd",         "/dev/fdx/3",
                                         "dev/fd/3", "/dev/hwrng", "/proc/self/fd/3", "//dev/fd/3"};

    (void)state;
    for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(bh_path_fd(others[i]), BH_UNSUPPORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_of_a_descriptor),
        cmocka_unit_test(test_path_of_no_descriptor),
        cmocka_unit_test(test_path_of_something_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
