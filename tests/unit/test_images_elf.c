/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program's ELF file: what is taken from a good one, what is said of each that is not, and that
 * no bytes at all do harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "layout_rig.h"

#define HEAD    64u
#define ENTRY   56u
#define ENTRIES 20u
#define BYTES   8192u

struct fixture {
    struct layout_rig rig;
    struct bh_platform platform;
    char folder[64];
    char path[96];
    uint8_t file[BYTES];
};

static void store(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint8_t *entry_of(struct fixture *fixture, unsigned index)
{
    return fixture->file + HEAD + (size_t)index * ENTRY;
}

/* An entry PT_LOAD with 256 bytes of the file; virtual and physical addresses differ. */
static void entry_make(struct fixture *fixture, unsigned index, uint64_t address, uint64_t size)
{
    uint8_t *entry = entry_of(fixture, index);

    memset(entry, 0, ENTRY);
    store(entry, 1, 4);
    store(entry + 4, index == 0 ? 5 : 6, 4); /* the first is code */
    store(entry + 8, 4096, 8);
    store(entry + 16, address + 0x1000000000, 8);
    store(entry + 24, address, 8);
    store(entry + 32, 256, 8);
    store(entry + 40, size, 8);
}

/* Two segments, in the wrong order, and a note. */
static void program_make(struct fixture *fixture)
{
    uint8_t *file = fixture->file;

    memset(file, 0, BYTES);
    memcpy(file,
           "\x7f"
           "ELF\x02\x01\x01",
           7);
    store(file + 16, 2, 2);   /* ET_EXEC */
    store(file + 18, 183, 2); /* EM_AARCH64 */
    store(file + 20, 1, 4);
    store(file + 24, 0x1040500010, 8); /* entry */
    store(file + 32, HEAD, 8);
    store(file + 54, ENTRY, 2);
    store(file + 56, 3, 2);
    entry_make(fixture, 0, 0x40500000, 0x1000);
    entry_make(fixture, 1, 0x40400000, 0x100);
    store(entry_of(fixture, 2), 4, 4); /* PT_NOTE */
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    layout_rig_init(&fixture->rig);
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/bulkhead-elf-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/rtos.elf", fixture->folder);
    fixture->platform.files[0].folder = fixture->folder;
    program_make(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)unlink(fixture->path);
    assert_int_equal(rmdir(fixture->folder), 0);
    layout_rig_finish(&fixture->rig);
    free(fixture);
    return 0;
}

/* Opens the program as the first `length` bytes of the fixture's. */
static int program_open(struct fixture *fixture, size_t length)
{
    const int fd = open(fixture->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, fixture->file, length), length);
    assert_int_equal(close(fd), 0);
    fixture->rig.guest.boot.kernel.text = NULL;
    fixture->rig.guest.boot.elf.text = "rtos.elf";
    return bh_boot_images_open(&fixture->rig.images, &fixture->platform, &fixture->rig.guest,
                               fixture->rig.diagnostics);
}

static void expect_refused(struct fixture *fixture, size_t length, const char *what)
{
    char *said;

    assert_int_equal(program_open(fixture, length), BH_INVALID);
    assert_int_equal(fixture->rig.images.elf_fd, -1);
    assert_int_equal(bh_diagnostics_errors(fixture->rig.diagnostics), 1);
    said = layout_rig_said(&fixture->rig);
    if (!strstr(said, what)) {
        fail_msg("not said: %s\nbut: %s", what, said);
    }
    assert_non_null(strstr(said, length == 0 ? "[boot-image]" : "[elf-format]"));
    free(said);
    layout_rig_finish(&fixture->rig);
    layout_rig_init(&fixture->rig);
}

/* Segments by address, at their physical addresses, and the entry moved along. [BH-LAY-14] */
static void test_elf_good(void **state)
{
    struct fixture *fixture = *state;
    const struct bh_boot_images *images = &fixture->rig.images;

    assert_int_equal(program_open(fixture, BYTES), BH_OK);
    assert_true(images->elf_fd >= 0 && images->kernel_fd == -1);
    assert_int_equal(fcntl(images->elf_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(images->elf_bytes, BYTES);
    assert_int_equal(images->program.segment_count, 2);
    assert_true(images->program.segments[0].address == 0x40400000);
    assert_true(images->program.segments[0].size == 0x100);
    assert_true(images->program.segments[1].address == 0x40500000);
    assert_true(images->program.segments[1].size == 0x1000);
    assert_true(images->program.entry == 0x40500010);
    bh_boot_images_close(&fixture->rig.images);
    assert_int_equal(images->elf_fd, -1);
}

struct change {
    unsigned offset;
    unsigned bytes;
    uint64_t value;
    const char *said;
};

static void expect_changes(struct fixture *fixture, const struct change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        program_make(fixture);
        store(fixture->file + changes[i].offset, changes[i].value, changes[i].bytes);
        expect_refused(fixture, BYTES, changes[i].said);
    }
}

static void test_elf_header(void **state)
{
    static const struct change changes[] = {
        {0, 1, 'E', "is not an ELF file"},
        {4, 1, 1, "not built for 64-bit Arm"},
        {5, 1, 2, "is big-endian"},
        {16, 2, 1, "an object file that is not linked"},
        {16, 2, 3, "link it with -no-pie -static"},
        {16, 2, 4, "but no program"},
        {18, 2, 62, "build it for AArch64"},
        {56, 2, 0, "has no program headers"},
        {56, 2, 65, "more than 64 program headers"},
        {56, 2, 0xffff, "more than 64 program headers"},
        {54, 2, 32, "program headers lie outside"},
        {32, 8, BYTES - 3 * ENTRY + 1, "program headers lie outside"},
        {32, 8, UINT64_MAX, "program headers lie outside"},
        {32, 8, UINT64_MAX - ENTRY, "program headers lie outside"},
    };

    expect_changes(*state, changes, sizeof(changes) / sizeof(changes[0]));
}

#define FIRST  HEAD
#define SECOND (HEAD + ENTRY)

static void test_elf_segments(void **state)
{
    static const struct change changes[] = {
        {FIRST, 4, 3, "is a program for an operating system"},
        {FIRST + 8, 8, BYTES - 255, "a segment lies outside of the file"},
        {FIRST + 8, 8, UINT64_MAX, "a segment lies outside of the file"},
        {FIRST + 8, 8, UINT64_MAX - 255, "a segment lies outside of the file"},
        {FIRST + 32, 8, UINT64_MAX - 4095, "a segment lies outside of the file"},
        {FIRST + 40, 8, 0xff, "larger in the file than in memory"},
        {FIRST + 40, 8, UINT64_MAX, "goes beyond the last address"},
        {FIRST + 24, 8, UINT64_MAX - 0xffe, "goes beyond the last address"},
        {FIRST + 16, 8, UINT64_MAX - 0xffe, "goes beyond the last address"},
        {FIRST + 24, 8, 0x404000ff, "segments that overlap"},
        {FIRST + 24, 8, 0x403ff001, "segments that overlap"},
        {FIRST + 24, 8, 0x40400000, "segments that overlap"},
        {FIRST + 4, 4, 6, "begins outside of its own code"},
        {24, 8, 0, "ENTRY(start)"},
        {24, 8, 0x10404fffff, "begins outside of its own code"},
        {24, 8, 0x1040500100, "begins outside of its own code"}, /* behind what the file holds */
        {24, 8, 0x1040400000, "begins outside of its own code"}, /* data */
        {24, 8, 0x1040500011, "begins outside of its own code"}, /* no instruction */
        {24, 8, UINT64_MAX, "begins outside of its own code"},
    };

    expect_changes(*state, changes, sizeof(changes) / sizeof(changes[0]));
}

static void test_elf_counts(void **state)
{
    struct fixture *fixture = *state;

    /* Sixteen segments, one more that is empty, and one more that is not. */
    for (unsigned i = 0; i < ENTRIES; i++) {
        entry_make(fixture, i, 0x40500000 - (uint64_t)i * 0x1000, 0x1000);
    }
    store(entry_of(fixture, 3) + 32, 0, 8);
    store(entry_of(fixture, 3) + 40, 0, 8);
    store(fixture->file + 56, 17, 2);
    assert_int_equal(program_open(fixture, BYTES), BH_OK);
    assert_int_equal(fixture->rig.images.program.segment_count, 16);
    assert_true(fixture->rig.images.program.segments[0].address == 0x404f0000);
    bh_boot_images_close(&fixture->rig.images);
    store(fixture->file + 56, 18, 2);
    expect_refused(fixture, BYTES, "more than 16 segments");
    store(fixture->file + 56, 1, 2);
    store(entry_of(fixture, 0), 4, 4);
    expect_refused(fixture, BYTES, "has no segment that is loaded");
}

/* Cut anywhere: refused, or what is cut off is not needed. */
static void test_elf_short(void **state)
{
    struct fixture *fixture = *state;

    expect_refused(fixture, 0, "is an empty file");
    for (size_t length = 1; length < HEAD; length++) {
        expect_refused(fixture, length, "is not an ELF file");
    }
    for (size_t length = HEAD; length < HEAD + 3 * ENTRY; length += 7) {
        expect_refused(fixture, length, "program headers lie outside");
    }
    expect_refused(fixture, 4096 + 255, "a segment lies outside of the file");
    assert_int_equal(program_open(fixture, 4096 + 256), BH_OK);
    bh_boot_images_close(&fixture->rig.images);
}

/* Any bytes: never an accident, and what is accepted keeps the contract. */
static void test_elf_random(void **state)
{
    struct fixture *fixture = *state;
    const struct bh_program *program = &fixture->rig.images.program;
    uint32_t accepted = 0;

    srandom(20260102);
    for (unsigned n = 0; n < 4000; n++) {
        bool begins = false;

        program_make(fixture);
        for (long i = 1 + random() % 3; i > 0; i--) {
            fixture->file[random() % (HEAD + 3 * ENTRY)] = (uint8_t)random();
        }
        if (program_open(fixture, BYTES) != BH_OK) {
            assert_int_equal(bh_diagnostics_errors(fixture->rig.diagnostics), 1);
            layout_rig_finish(&fixture->rig);
            layout_rig_init(&fixture->rig);
            continue;
        }
        accepted++;
        assert_in_range(program->segment_count, 1, BH_SEGMENTS_MAX);
        for (uint32_t i = 0; i < program->segment_count; i++) {
            const struct bh_placement *segment = &program->segments[i];

            assert_true(segment->size - 1u <= UINT64_MAX - segment->address);
            assert_true(i == 0 || segment->address - segment[-1].address >= segment[-1].size);
            begins = begins || program->entry - segment->address < segment->size;
        }
        assert_true(begins);
        bh_boot_images_close(&fixture->rig.images);
    }
    assert_in_range(accepted, 500, 3500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_elf_good, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_elf_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_elf_segments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_elf_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_elf_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_elf_random, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
