/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for the definition: the input is the file, and behind each line "#---" another one that
 * it may include: f1.yaml, f2.yaml, ... Whatever stands in them, reading ends, says what is wrong or
 * hands over a platform in which every value is what the table of keys promises, needs less than
 * 64 MB, and gives back all memory. It does not look at the wording of messages.
 *
 * Memory is what is allocated, counted by the sanitizer's hooks: resident memory would be mostly the
 * sanitizer's own. The program without its heap has less than HEAP_LEFT.
 */
#include "fuzz_input.h"

#include <fcntl.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_definition.h"
#include "platform/definition/schema.h"

#define PARTS_MAX 12u
#define JOBS_MAX  65536u
#define MEMORY    (64u << 20)
#define HEAP_LEFT (16u << 20)

static const char separator[] = "\n#---\n";

/* ------------------------------------------------------------------------------------------------
 * memory */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNTED
#endif
#endif

#ifdef COUNTED
#include <sanitizer/allocator_interface.h>

static size_t live;
static size_t peak;

static void count_malloc(const volatile void *at, size_t size)
{
    (void)at;
    live += size;
    peak = live > peak ? live : peak;
}

static void count_free(const volatile void *at)
{
    live -= at == NULL ? 0 : __sanitizer_get_allocated_size(at);
}

static void count_begin(void)
{
    static bool installed;

    if (!installed) {
        FUZZ_CHECK(__sanitizer_install_malloc_and_free_hooks(count_malloc, count_free) > 0);
        installed = true;
    }
    live = 0;
    peak = 0;
}

static void count_check(void)
{
    /* What was allocated before and is freed meanwhile makes it wrap: then there is no telling. */
    FUZZ_CHECK(peak < MEMORY - HEAP_LEFT || peak > SIZE_MAX / 2);
}
#else
static void count_begin(void)
{
}

static void count_check(void)
{
}
#endif

/* ------------------------------------------------------------------------------------------------
 * files */

static char folder[] = "/tmp/bulkhead-fuzz-XXXXXX";
static bool folder_made; /* its name does not tell: an X may be left in it */
static unsigned files;   /* that lie in it */

static void file_path(char path[64], unsigned number)
{
    (void)snprintf(path, 64, number == 0 ? "%s/d.yaml" : "%s/f%u.yaml", folder, number);
}

static void files_remove(void)
{
    char path[64];

    for (unsigned i = 0; i < files; i++) {
        file_path(path, i);
        (void)unlink(path);
    }
    files = 0;
}

static void folder_remove(void)
{
    files_remove();
    (void)rmdir(folder);
}

static void file_write(const uint8_t *data, size_t size)
{
    char path[64];
    size_t written = 0;
    int fd;

    file_path(path, files++);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0);
    while (written < size) {
        ssize_t count = write(fd, data + written, size - written);

        FUZZ_CHECK(count > 0);
        written += (size_t)count;
    }
    (void)close(fd);
}

/* The parts of the input, each as a file. */
static void files_write(const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;

    if (!folder_made) {
        FUZZ_CHECK(mkdtemp(folder) != NULL);
        folder_made = true;
        (void)atexit(folder_remove);
    }
    files_remove();
    for (unsigned i = 0; i < PARTS_MAX; i++) {
        const uint8_t *next = i + 1 == PARTS_MAX ? NULL
                                                 : memmem(data, (size_t)(end - data), separator,
                                                          sizeof(separator) - 1);

        file_write(data, (size_t)((next == NULL ? end : next) - data));
        if (next == NULL) {
            break;
        }
        data = next + sizeof(separator) - 1;
    }
}

/* ------------------------------------------------------------------------------------------------
 * values */

/* A structure that is to be looked at. */
struct job {
    const struct bh_schema_group *group;
    const unsigned char *owner;
    bool given; /* the group stands in the definition */
};

static struct job jobs[JOBS_MAX];
static uint32_t job_count;

static void job_add(const struct bh_schema_group *group, const unsigned char *owner, bool given)
{
    FUZZ_CHECK(job_count < JOBS_MAX);
    jobs[job_count++] = (struct job){group, owner, given};
}

static void check_origin(const struct bh_platform *platform, const struct bh_origin *at)
{
    FUZZ_CHECK(at->file < platform->file_count);
    FUZZ_CHECK((at->line == 0) == (at->column == 0));
}

static void check_text(const struct bh_platform *platform, const struct bh_text *text, bool needed,
                       size_t shortest, size_t longest)
{
    if (text->text == NULL) {
        FUZZ_CHECK(!needed);
        return;
    }
    check_origin(platform, &text->at);
    FUZZ_CHECK(strlen(text->text) >= shortest && strlen(text->text) <= longest);
    for (const char *at = text->text; *at != '\0'; at++) {
        FUZZ_CHECK((uint8_t)*at >= 0x20 && *at != 0x7f);
    }
}

static void check_name(const struct bh_platform *platform, const struct bh_text *name)
{
    check_text(platform, name, true, 1, BH_NAME_MAX);
    FUZZ_CHECK(strspn(name->text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name->text));
    FUZZ_CHECK(name->text[0] >= 'a');
}

/* In its range; or a default, of which several may be outside, and 0 among them. */
static void check_number(const struct bh_platform *platform, const struct bh_schema_key *key,
                         const struct bh_number *number)
{
    bool in_range = number->value >= key->minimum && number->value <= key->maximum &&
                    (key->multiple == 0 || number->value % key->multiple == 0);

    check_origin(platform, &number->at);
    FUZZ_CHECK(in_range || number->value == key->fallback || number->value == 0);
}

static void check_choice(const struct bh_platform *platform, const struct bh_schema_key *key,
                         const struct bh_choice *choice)
{
    check_origin(platform, &choice->at);
    for (uint32_t i = 0; i <= choice->value; i++) {
        FUZZ_CHECK(key->words[i].word != NULL);
    }
}

static void check_names(const struct bh_platform *platform, const struct bh_schema_key *key,
                        const struct bh_names *names)
{
    FUZZ_CHECK(names->count <= key->maximum);
    for (uint32_t i = 0; i < names->count; i++) {
        check_name(platform, &names->names[i]);
    }
}

static void check_ranges(const struct bh_platform *platform, const struct bh_schema_key *key,
                         const struct bh_ranges *ranges)
{
    FUZZ_CHECK(ranges->count <= BH_RANGES_MAX);
    for (uint32_t i = 0; i < ranges->count; i++) {
        check_origin(platform, &ranges->ranges[i].at);
        FUZZ_CHECK(ranges->ranges[i].first >= key->minimum &&
                   ranges->ranges[i].last <= key->maximum &&
                   ranges->ranges[i].first <= ranges->ranges[i].last);
    }
}

static void add_things(const struct bh_platform *platform, const struct bh_schema_key *key,
                       const unsigned char *owner)
{
    const unsigned char *things = *(void *const *)(const void *)(owner + key->offset);
    uint32_t count = *(const uint32_t *)(const void *)(owner + key->count_offset);

    FUZZ_CHECK(count >= key->minimum && count <= key->maximum);
    for (uint32_t i = 0; i < count; i++, things += key->group->size) {
        if (key->type == BH_SCHEMA_THINGS) {
            check_name(platform, (const void *)(things + key->group->name_offset));
        }
        job_add(key->group, things, true);
    }
}

static void check_key(const struct bh_platform *platform, const struct job *job,
                      const struct bh_schema_key *key)
{
    const void *at = job->owner + key->offset;

    switch (key->type) {
    case BH_SCHEMA_NAME:
        check_name(platform, at);
        break;
    case BH_SCHEMA_REFERENCE:
        check_text(platform, at, job->given && key->required, 1, BH_NAME_MAX);
        break;
    case BH_SCHEMA_TEXT:
        check_text(platform, at, job->given && key->required, key->minimum, key->maximum);
        break;
    case BH_SCHEMA_PATH:
        check_text(platform, at, job->given && key->required, 1, 4095);
        break;
    case BH_SCHEMA_NUMBER:
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME:
        check_number(platform, key, at);
        break;
    case BH_SCHEMA_CHOICE:
        check_choice(platform, key, at);
        break;
    case BH_SCHEMA_NAMES:
        check_names(platform, key, at);
        break;
    case BH_SCHEMA_RANGES:
        check_ranges(platform, key, at);
        break;
    case BH_SCHEMA_GROUP: /* whether it was given is told by where it stands; nothing hangs on it */
        job_add(key->group, at, false);
        break;
    case BH_SCHEMA_THINGS:
    case BH_SCHEMA_LIST:
        add_things(platform, key, job->owner);
        break;
    default:
        break;
    }
}

/* Of the thing's kind, or of none in particular. */
static bool belongs(const struct job *job, const struct bh_schema_key *key)
{
    for (size_t i = 0; key->kinds != 0 && i < job->group->key_count; i++) {
        const struct bh_schema_key *kind = &job->group->keys[i];

        if (kind->is_kind) {
            const struct bh_choice *choice = (const void *)(job->owner + kind->offset);

            return (key->kinds & BH_SCHEMA_KIND(choice->value)) != 0;
        }
    }
    return true;
}

static void check_platform(const struct bh_platform *platform)
{
    FUZZ_CHECK(platform->file_count >= 1 && platform->file_count <= BH_FILES_MAX);
    for (uint32_t i = 0; i < platform->file_count; i++) {
        FUZZ_CHECK(platform->files[i].path != NULL && platform->files[i].folder != NULL &&
                   platform->files[i].folder[0] == '/');
    }
    job_count = 0;
    job_add(bh_schema_root(), (const void *)platform, true);
    for (uint32_t i = 0; i < job_count; i++) {
        for (size_t j = 0; j < jobs[i].group->key_count; j++) {
            if (belongs(&jobs[i], &jobs[i].group->keys[j])) {
                check_key(platform, &jobs[i], &jobs[i].group->keys[j]);
            }
        }
    }
    FUZZ_CHECK(platform->modes.count >= 1);
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        FUZZ_CHECK(platform->policy[i].of != NULL && platform->policy[i].to != NULL &&
                   platform->policy[i].mode_mask != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_diagnostics *diagnostics;
    struct bh_platform *platform = NULL;
    char path[64];
    FILE *nowhere = fopen("/dev/null", "w");
    int error;

    FUZZ_CHECK(nowhere != NULL);
    files_write(data, size);
    file_path(path, 0);
    count_begin();
    diagnostics = bh_diagnostics_create("input");
    FUZZ_CHECK(diagnostics != NULL);
    error = bh_platform_read(&platform, path, diagnostics);
    bh_diagnostics_print(diagnostics, nowhere, (size & 1) != 0);
    FUZZ_CHECK(bh_diagnostics_print_json(diagnostics, nowhere) == BH_OK);
    FUZZ_CHECK((error == BH_OK) == (bh_diagnostics_errors(diagnostics) == 0));
    FUZZ_CHECK((error == BH_OK) == (platform != NULL));
    count_check();
    if (platform != NULL) {
        check_platform(platform);
    }
    bh_platform_destroy(platform);
    bh_diagnostics_destroy(diagnostics);
    (void)fclose(nowhere);
    return 0;
}
