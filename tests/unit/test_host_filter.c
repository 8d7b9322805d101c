/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A filter's page on Linux: what the writer sets reaches the reader, and whoever holds the
 * descriptor can do nothing but read. How a page is read: test_filter.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bulkhead/host_filter.h"

#define A     UINT32_C(1)
#define B     UINT32_C(2)
#define SEALS (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

struct fixture {
    struct bh_filter_writer writer;
    const struct bh_filter_page *page; /* the reader's */
    struct bh_filter filter;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (f == NULL || bh_filter_create(&f->writer) != BH_OK ||
        bh_filter_map(f->writer.fd, &f->page) != BH_OK) {
        return -1;
    }
    bh_filter_bind(&f->filter, f->page);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bh_filter_unmap(f->page);
    bh_filter_close(&f->writer);
    free(f);
    return 0;
}

/* ---- writer and reader ---- */

/* [BH-DEV-30] */
static void test_page_what_is_set_is_read(void **state)
{
    const struct bh_filter_range ranges[] = {{0x100, 0x1ff, A | B, 0}, {0x123, 0x123, A, 0}};
    struct fixture *f = *state;

    assert_false(bh_filter_allows(&f->filter, A)); /* a new page */
    assert_int_equal(bh_filter_set(&f->writer, A | B, NULL, 0), BH_OK);
    assert_true(bh_filter_allows_number(&f->filter, A | B, 5));
    assert_int_equal(bh_filter_set(&f->writer, A, ranges, 2), BH_OK);
    assert_true(bh_filter_allows_number(&f->filter, A, 0x1ff));
    assert_false(bh_filter_allows_number(&f->filter, B, 0x1ff));
    assert_false(bh_filter_allows_number(&f->filter, A, 0x200));
    assert_int_equal(bh_filter_set(&f->writer, A, ranges + 1, 1), BH_OK);
    assert_false(bh_filter_allows_number(&f->filter, A, 0x1ff));
    assert_int_equal(bh_filter_set(&f->writer, 0, NULL, 0), BH_OK);
    assert_false(bh_filter_allows_number(&f->filter, A, 0x123));
    assert_int_equal(f->page->sequence, 8);
}

static void test_page_what_cannot_be_set_changes_nothing(void **state)
{
    static struct bh_filter_range many[BH_FILTER_RANGES_MAX + 1];
    struct bh_filter_range range = {2, 1, A, 0};
    struct fixture *f = *state;

    assert_int_equal(bh_filter_set(&f->writer, A, NULL, 0), BH_OK);
    assert_int_equal(bh_filter_set(&f->writer, B, &range, 1), BH_INVALID);
    range = (struct bh_filter_range){1, 1, A, 1};
    assert_int_equal(bh_filter_set(&f->writer, B, &range, 1), BH_INVALID);
    assert_int_equal(bh_filter_set(&f->writer, B, many, BH_FILTER_RANGES_MAX + 1u), BH_LIMIT);
    assert_true(bh_filter_allows_number(&f->filter, A, 1));
    assert_false(bh_filter_allows(&f->filter, B));
    assert_int_equal(f->page->sequence, 2);
    assert_int_equal(bh_filter_set(&f->writer, B, many, BH_FILTER_RANGES_MAX), BH_OK);
}

static void test_page_a_page_outlives_its_writer(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(bh_filter_set(&f->writer, A, NULL, 0), BH_OK);
    bh_filter_close(&f->writer);
    assert_int_equal(f->writer.fd, -1);
    assert_null(f->writer.page);
    bh_filter_close(&f->writer); /* and once more */
    assert_true(bh_filter_allows(&f->filter, A));
}

static bool stop;

static void *set_by_turns(void *context)
{
    static struct bh_filter_range ranges[2][BH_FILTER_RANGES_MAX];
    struct fixture *f = context;

    for (uint32_t i = 0; i < BH_FILTER_RANGES_MAX; i++) {
        ranges[0][i] = (struct bh_filter_range){0, UINT32_MAX, A, 0};
        ranges[1][i] = (struct bh_filter_range){0, UINT32_MAX, B, 0};
    }
    for (uint32_t turn = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); turn++) {
        if (bh_filter_set(&f->writer, A | B, ranges[turn % 2u], BH_FILTER_RANGES_MAX) != BH_OK) {
            abort();
        }
    }
    return NULL;
}

/* [BH-DEV-30, BH-DEV-31] Set while it is read: what both contents allow only together is never
 * allowed. */
static void test_page_set_while_read(void **state)
{
    struct fixture *f = *state;
    pthread_t writer;
    uint32_t seen[2] = {0, 0};
    uint32_t torn = 0;

    stop = false;
    assert_int_equal(pthread_create(&writer, NULL, set_by_turns, f), 0);
    while (seen[0] < 100u || seen[1] < 100u) {
        torn += bh_filter_allows_number(&f->filter, A | B, 1) ? 1u : 0u;
        seen[0] += bh_filter_allows_number(&f->filter, A, 1) ? 1u : 0u;
        seen[1] += bh_filter_allows_number(&f->filter, B, 1) ? 1u : 0u;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(torn, 0);
}

/* ---- a holder that wants more ---- */

/* Neither by write, nor by a mapping, nor through another description of the same file. */
static void expect_read_only(int fd)
{
    assert_int_equal(pwrite(fd, "x", 1, 8), -1);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_ptr_equal(mmap(NULL, BH_FILTER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
                     MAP_FAILED);
    void *page = mmap(NULL, BH_FILTER_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    assert_int_equal(mprotect(page, BH_FILTER_BYTES, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(madvise(page, BH_FILTER_BYTES, MADV_REMOVE), -1);
    assert_int_equal(munmap(page, BH_FILTER_BYTES), 0);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BH_FILTER_BYTES),
                     -1);
}

/* [BH-DEV-32] */
static void test_page_a_holder_cannot_write(void **state)
{
    struct fixture *f = *state;
    char path[40];

    assert_int_equal(bh_filter_set(&f->writer, A, NULL, 0), BH_OK);
    expect_read_only(f->writer.fd);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->writer.fd);
    int again = open(path, O_RDWR | O_CLOEXEC);
    if (again >= 0) {
        expect_read_only(again);
        (void)close(again);
    }
    assert_int_equal(f->page->operations, A);
    assert_int_equal(f->page->magic, BH_FILTER_MAGIC);
    /* The writer still can. */
    assert_int_equal(bh_filter_set(&f->writer, B, NULL, 0), BH_OK);
    assert_int_equal(f->page->operations, B);
}

/* [BH-DEV-32] */
static void test_page_a_holder_cannot_resize_or_seal(void **state)
{
    struct fixture *f = *state;
    struct stat status;

    assert_int_equal(ftruncate(f->writer.fd, 0), -1);
    assert_int_equal(ftruncate(f->writer.fd, 2 * BH_FILTER_BYTES), -1);
    assert_int_equal(fallocate(f->writer.fd, 0, BH_FILTER_BYTES, 4096), -1);
    assert_int_equal(fcntl(f->writer.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_int_equal(fstat(f->writer.fd, &status), 0);
    assert_int_equal(status.st_size, BH_FILTER_BYTES);
    assert_int_equal(fcntl(f->writer.fd, F_GET_SEALS) & SEALS, SEALS);
    assert_int_equal(fcntl(f->writer.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

/* ---- what is no page ---- */

/* A file of `size` bytes with `seals` that says that all is allowed. */
static int make(off_t size, int seals, uint32_t magic)
{
    const struct bh_filter_page page = {.magic = magic, .operations = UINT32_MAX};
    int fd = memfd_create("made", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, &page, sizeof(page)), sizeof(page));
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void expect_refused(int fd, int result)
{
    const struct bh_filter_page *page = NULL;

    assert_int_equal(bh_filter_map(fd, &page), result);
    if (result != BH_OK) {
        assert_null(page);
    }
    bh_filter_unmap(page);
    (void)close(fd);
}

/* [BH-DEV-32] */
static void test_page_a_page_must_be_sealed(void **state)
{
    static const int seals[] = {F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL};

    (void)state;
    expect_refused(make(BH_FILTER_BYTES, SEALS, BH_FILTER_MAGIC), BH_OK);
    expect_refused(make(BH_FILTER_BYTES, 0, BH_FILTER_MAGIC), BH_DENIED);
    for (uint32_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++) {
        expect_refused(make(BH_FILTER_BYTES, SEALS & ~seals[i], BH_FILTER_MAGIC), BH_DENIED);
    }
}

/* [BH-DEV-31] */
static void test_page_what_is_no_page_is_refused(void **state)
{
    const struct bh_filter_page *page = NULL;
    FILE *file = tmpfile();
    int ends[2];

    (void)state;
    expect_refused(make(0, SEALS, BH_FILTER_MAGIC), BH_INVALID);
    expect_refused(make(BH_FILTER_BYTES - 1, SEALS, BH_FILTER_MAGIC), BH_INVALID);
    expect_refused(make(2 * BH_FILTER_BYTES, SEALS, BH_FILTER_MAGIC), BH_INVALID);
    expect_refused(make(BH_FILTER_BYTES, SEALS, BH_FILTER_MAGIC ^ 1u), BH_UNSUPPORTED);
    expect_refused(-1, BH_INVALID);
    assert_int_equal(pipe(ends), 0);
    expect_refused(ends[0], BH_INVALID);
    (void)close(ends[1]);
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), BH_FILTER_BYTES), 0);
    /* A file system in memory knows of seals, another does not. */
    assert_true(bh_filter_map(fileno(file), &page) < BH_OK);
    assert_null(page);
    (void)fclose(file);
}

/* A descriptor that may only read is enough, and is needed no longer than it takes to map. */
static void test_page_a_reading_descriptor_is_enough(void **state)
{
    struct fixture *f = *state;
    const struct bh_filter_page *page = NULL;
    char path[40];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->writer.fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(bh_filter_map(fd, &page), BH_OK);
    (void)close(fd);
    assert_int_equal(bh_filter_set(&f->writer, B, NULL, 0), BH_OK);
    assert_int_equal(page->operations, B);
    bh_filter_unmap(page);
    bh_filter_unmap(NULL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_page_what_is_set_is_read),
        CASE(test_page_what_cannot_be_set_changes_nothing),
        CASE(test_page_a_page_outlives_its_writer),
        CASE(test_page_set_while_read),
        CASE(test_page_a_holder_cannot_write),
        CASE(test_page_a_holder_cannot_resize_or_seal),
        cmocka_unit_test(test_page_a_page_must_be_sealed),
        cmocka_unit_test(test_page_what_is_no_page_is_refused),
        CASE(test_page_a_reading_descriptor_is_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
