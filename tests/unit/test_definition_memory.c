/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a definition while memory runs out, at each allocation in turn: an error code, no crash,
 * and (under a leak checker) nothing lost. The allocations of libyaml are its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_definition.h"

#define FILLER_BYTES 40000u

/* The linker sends the library's allocations here (--wrap). */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

/* Allocations that succeed before one fails; -1: all do. */
static int left = -1;

static bool fails(void)
{
    if (left > 0) {
        left--;
        return false;
    }
    return left == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* A definition that needs several blocks, so that allocation fails in the midst of it too. */
static void write_base(const char *path)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    (void)fprintf(file, "bulkhead: 1\n"
                        "templates:\n"
                        "  t: { template: u, arch: arm64 }\n"
                        "  u: { memory: 128M, boot: { kernel: Image } }\n"
                        "guests: { gone: { arch: arm64 } }\n"
                        "policy: [{ guest: gone, resource: r1, allow: [read] }]\n"
                        "resources:\n");
    for (int i = 0; i < 200; i++) {
        (void)fprintf(file, "  r%d: { type: disk, image: i%d }\n", i, i);
    }
    assert_int_equal(0, fclose(file));
}

static void write_definition(const char *path, const char *base)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    (void)fprintf(file, "bulkhead: 1\ninclude: %s\nname: demo\nresources: { r0: { image: x } }\n",
                  base);
    (void)fprintf(file, "guests:\n  gone: ~\n");
    for (int i = 0; i < 16; i++) {
        (void)fprintf(file,
                      "  g%d: { template: t,"
                      " devices: { con: { type: console, ports: [a, b] } } }\n",
                      i);
    }
    (void)fprintf(file, "#%*s\n", (int)FILLER_BYTES, "");
    assert_int_equal(0, fclose(file));
}

/* Reads with `allowed` allocations; true: that was enough. */
static bool read_with(const char *path, int allowed)
{
    struct bh_diagnostics *diagnostics;
    struct bh_platform *platform = NULL;
    int error;

    left = allowed;
    diagnostics = bh_diagnostics_create(path);
    if (diagnostics == NULL) {
        left = -1;
        return false;
    }
    error = bh_platform_read(&platform, path, diagnostics);
    left = -1;
    if (error == BH_OK) {
        assert_non_null(platform);
        assert_int_equal(16, platform->guest_count);
        assert_int_equal(200, platform->resource_count);
    } else {
        assert_int_equal(BH_NO_MEMORY, error);
        assert_null(platform);
        assert_int_equal(1, bh_diagnostics_errors(diagnostics));
    }
    bh_platform_destroy(platform);
    bh_diagnostics_destroy(diagnostics);
    return error == BH_OK;
}

static void test_no_memory(void **state)
{
    char path[] = "/tmp/bh-definition-XXXXXX";
    char base[] = "/tmp/bh-definition-XXXXXX";
    int fd = mkstemp(path);
    int base_fd = mkstemp(base);
    int succeeded = 0;

    (void)state;
    assert_true(fd >= 0 && base_fd >= 0);
    (void)close(fd);
    (void)close(base_fd);
    write_base(base);
    write_definition(path, base);
    assert_true(read_with(path, -1));
    for (int allowed = 0; allowed < 300; allowed++) {
        /* Copies for source lines and notes may fail: then these are left out. */
        succeeded += read_with(path, allowed) ? 1 : 0;
    }
    assert_true(succeeded >= 1 && succeeded < 300);
    assert_false(read_with(path, 0));
    assert_false(read_with(path, 10));
    (void)unlink(path);
    (void)unlink(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
