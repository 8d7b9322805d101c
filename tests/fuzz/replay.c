/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzzer's entry over the files of a directory, in the order of their names, as a test for
 * any compiler: seeds, and inputs that once broke something. Prints TAP. It does not fuzz.
 *
 *   replay DIRECTORY
 */
#include <dirent.h>

#include "fuzz_input.h"

#define INPUT_MAX 65536u

/* Runs one file; a failure ends the program, and the plan is not fulfilled. */
static bool run(const char *directory, const char *name)
{
    static uint8_t data[INPUT_MAX];
    char path[4096];
    FILE *file;
    size_t size;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    size = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    return true;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, visible, alphasort) : -1;
    int failed = 0;

    if (count <= 0) {
        (void)fprintf(stderr, "usage: replay DIRECTORY (with files in it)\n");
        return 2;
    }
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        bool ok = run(argv[1], entries[i]->d_name);

        printf("%s %d - %s\n", ok ? "ok" : "not ok", i + 1, entries[i]->d_name);
        (void)fflush(stdout);
        failed |= ok ? 0 : 1;
        free(entries[i]);
    }
    free(entries);
    return failed;
}
