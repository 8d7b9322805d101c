/* SPDX-License-Identifier: BSD-2-Clause */
/* Resources: opened with the least rights, refused with what to do; and the command lines of the
 * back ends that get them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "engine/backend.h"
#include "engine/resource.h"

static struct {
    char folder[64];
    struct bh_platform platform;
    struct bh_resource resource;
    struct bh_device_definition device;
    struct bh_guest guest;
    struct bh_diagnostics *diagnostics;
    char *said;
    uint32_t operations; /* that the policy allows */
} rig;

#define ALL  (BH_DISK_READ | BH_DISK_WRITE | BH_DISK_FLUSH | BH_DISK_DISCARD)
#define SOME (BH_DISK_READ | BH_DISK_FLUSH)

/* In the place of the policy's (the link is told so): what a definition allows is test_rules.c's. */
uint32_t __wrap_bh_policy_operations(const struct bh_platform *platform,
                                     const struct bh_guest *guest,
                                     const struct bh_resource *resource, uint32_t mode);
uint32_t __wrap_bh_policy_operations(const struct bh_platform *platform,
                                     const struct bh_guest *guest,
                                     const struct bh_resource *resource, uint32_t mode)
{
    assert_ptr_equal(platform, &rig.platform);
    assert_ptr_equal(guest, &rig.guest);
    assert_ptr_equal(resource, &rig.resource);
    assert_int_equal(mode, BH_MODES_ALL);
    return rig.operations;
}

static int setup(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    (void)snprintf(rig.folder, sizeof(rig.folder), "/tmp/test-resource-XXXXXX");
    if (mkdtemp(rig.folder) == NULL) {
        return -1;
    }
    rig.platform.files[0].folder = rig.folder;
    rig.platform.files[0].path = "p.yaml";
    rig.operations = ALL;
    rig.resource.name.text = "disk";
    rig.resource.image.text = "image";
    rig.device.name.text = "root";
    rig.device.resource.text = "disk";
    rig.device.uses = &rig.resource;
    rig.device.queues.value = 2;
    rig.guest.name.text = "cluster";
    rig.diagnostics = bh_diagnostics_create("p.yaml");
    return rig.diagnostics != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    char path[128];
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/image", rig.folder);
    (void)unlink(path);
    (void)rmdir(path);
    (void)snprintf(path, sizeof(path), "%s/other", rig.folder);
    (void)unlink(path);
    bh_diagnostics_destroy(rig.diagnostics);
    free(rig.said);
    return rmdir(rig.folder);
}

static void image_make(const char *name, off_t bytes)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", rig.folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, bytes), 0);
    (void)close(fd);
}

static int resource_open(struct bh_open_resource *resource)
{
    return bh_resource_open(resource, &rig.platform, &rig.guest, &rig.device, rig.diagnostics);
}

/* What was said names the check and the words. */
static void expect_said(const char *check, const char *words)
{
    size_t size;
    free(rig.said);
    rig.said = NULL;
    FILE *to = open_memstream(&rig.said, &size);
    assert_non_null(to);
    bh_diagnostics_print(rig.diagnostics, to, false);
    (void)fclose(to);
    if (strstr(rig.said, check) == NULL || strstr(rig.said, words) == NULL) {
        fail_msg("no '%s' with '%s' in: %s", check, words, rig.said);
    }
}

static void expect_refused(int error, const char *check, const char *words)
{
    struct bh_open_resource resource;
    assert_int_equal(resource_open(&resource), error);
    assert_int_equal(resource.fd, -1);
    expect_said(check, words);
}

static void test_resource_rights(void **state)
{
    struct bh_open_resource resource;
    (void)state;
    image_make("image", 4096);
    assert_int_equal(resource_open(&resource), BH_OK);
    assert_int_equal(fcntl(resource.fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
    assert_int_equal(fcntl(resource.fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(resource.operations, ALL);
    assert_int_equal(resource.rights, BH_RIGHT_READ | BH_RIGHT_WRITE);
    bh_resource_close(&resource);
    rig.operations = SOME;
    assert_int_equal(resource_open(&resource), BH_OK);
    assert_int_equal(fcntl(resource.fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
    assert_int_equal(resource.operations, SOME);
    assert_int_equal(resource.rights, BH_RIGHT_READ);
    bh_resource_close(&resource);
    assert_int_equal(resource.fd, -1);
    /* A disk that cannot be read serves nobody: it is open for both. */
    rig.operations = BH_DISK_WRITE;
    assert_int_equal(resource_open(&resource), BH_OK);
    assert_int_equal(fcntl(resource.fd, F_GETFL) & O_ACCMODE, O_RDWR);
    bh_resource_close(&resource);
    assert_int_equal(bh_diagnostics_errors(rig.diagnostics), 0);
}

/* Nothing is opened that this version has no back end for, whatever its path says. */
static void test_resource_without_back_end(void **state)
{
    struct bh_open_resource resource;
    (void)state;
    image_make("image", 4096);
    for (uint32_t type = 0; type < BH_RESOURCE_TYPES; type++) {
        if (type == BH_RESOURCE_DISK || type == BH_RESOURCE_ENTROPY) {
            continue;
        }
        rig.resource.type.value = type;
        rig.resource.device.text = "image";
        assert_int_equal(resource_open(&resource), BH_OK);
        assert_int_equal(resource.fd, -1);
    }
    assert_int_equal(bh_diagnostics_errors(rig.diagnostics), 0);
}

static void test_resource_none(void **state)
{
    struct bh_open_resource resource;
    (void)state;
    rig.device.uses = NULL;
    assert_int_equal(resource_open(&resource), BH_OK);
    assert_int_equal(resource.fd, -1);
    rig.device.uses = &rig.resource;
    rig.resource.type.value = BH_RESOURCE_ENTROPY;
    assert_int_equal(resource_open(&resource), BH_OK);
    assert_int_equal(resource.fd, -1);
}

static void test_resource_missing(void **state)
{
    (void)state;
    expect_refused(BH_GONE, "resource-missing", "truncate -s 64M");
    rig.resource.image.text = "nowhere/image";
    expect_refused(BH_GONE, "resource-missing", "nowhere/image");
}

static void test_resource_kinds(void **state)
{
    char path[128];
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/image", rig.folder);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refused(BH_INVALID, "resource-kind", "is a folder");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(BH_INVALID, "resource-kind", "is a pipe");
    rig.resource.image.text = "/dev/null";
    expect_refused(BH_INVALID, "resource-kind", "is a character device");
    rig.resource.type.value = BH_RESOURCE_ENTROPY;
    rig.resource.source.text = "image";
    expect_refused(BH_INVALID, "resource-kind", "/dev/hwrng");
}

static void test_resource_empty(void **state)
{
    (void)state;
    image_make("image", 511);
    expect_refused(BH_INVALID, "resource-empty", "is empty");
}

static void test_resource_denied(void **state)
{
    char path[128];
    (void)state;
    if (geteuid() == 0) { /* root may write everything but what the kernel itself refuses */
        rig.resource.type.value = BH_RESOURCE_ENTROPY;
        rig.resource.source.text = "/proc/self/mem/x";
        expect_refused(BH_GONE, "resource-missing", "kernel's generator");
        return;
    }
    image_make("image", 4096);
    (void)snprintf(path, sizeof(path), "%s/image", rig.folder);
    assert_int_equal(chmod(path, 0400), 0);
    expect_refused(BH_DENIED, "resource-denied", "read-only: true");
}

/* The lock of another open file description: a writer bars everybody, readers bar writers. */
static void test_resource_in_use(void **state)
{
    char path[128];
    struct bh_open_resource resource;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    (void)state;
    image_make("image", 4096);
    (void)snprintf(path, sizeof(path), "%s/image", rig.folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    expect_refused(BH_STATE, "resource-in-use", "locked for writing");
    expect_said("resource-in-use", "bulkhead status");
    lock.l_type = F_RDLCK;
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    expect_refused(BH_STATE, "resource-in-use", "locked for reading");
    rig.operations = SOME;
    assert_int_equal(resource_open(&resource), BH_OK);
    bh_resource_close(&resource);
    (void)close(fd);
}

static void test_resource_clash(void **state)
{
    char from[128];
    char to[128];
    struct bh_open_resource one;
    struct bh_open_resource two;
    struct bh_open_resource none = {.fd = -1, .device = &rig.device};
    (void)state;
    image_make("image", 4096);
    (void)snprintf(from, sizeof(from), "%s/image", rig.folder);
    (void)snprintf(to, sizeof(to), "%s/other", rig.folder);
    assert_int_equal(link(from, to), 0);
    assert_int_equal(resource_open(&one), BH_OK);
    rig.resource.image.text = "other";
    assert_int_equal(resource_open(&two), BH_OK);
    assert_true(bh_resource_clash(&one, &two));
    assert_false(bh_resource_clash(&one, &none));
    one.rights = BH_RIGHT_READ;
    assert_true(bh_resource_clash(&one, &two));
    assert_true(bh_resource_clash(&two, &one));
    two.rights = BH_RIGHT_READ;
    assert_false(bh_resource_clash(&one, &two));
    bh_resource_clash_say(&one, &two, rig.diagnostics);
    expect_said("resource-twice", "cluster/root and cluster/root are the same disk");
    bh_resource_close(&one);
    bh_resource_close(&two);
}

/* ------------------------------------------------------------------------------------------------
 * command lines */

static void expect_command(const struct bh_backend_parts *parts, const char *wanted, uint32_t fds)
{
    struct bh_backend_command command = {.count = 0};
    char all[4096] = "";
    assert_int_equal(bh_backend_command(&command, "/opt/b", parts), BH_OK);
    for (uint32_t i = 0; command.arguments[i] != NULL; i++) {
        size_t used = strlen(all);
        (void)snprintf(all + used, sizeof(all) - used, "%s%s", i > 0u ? " " : "",
                       command.arguments[i]);
    }
    assert_string_equal(all, wanted);
    assert_int_equal(command.fd_count, fds);
    for (uint32_t i = 0; i < fds; i++) {
        assert_int_equal(command.fds[i].to, 3 + (int)i);
    }
    assert_int_equal(command.fds[0].from, 10);
}

static struct bh_backend_parts usual_parts(int resource_fd, int filter_fd)
{
    return (struct bh_backend_parts){
        .guest = &rig.guest,
        .device = &rig.device,
        .socket_fd = 10,
        .resource_fd = resource_fd,
        .filter_fd = filter_fd,
        .up_fd = -1,
        .operations = ALL,
    };
}

static void test_command_blk(void **state)
{
    (void)state;
    struct bh_backend_parts parts = usual_parts(20, 21);
    expect_command(&parts,
                   "bulkhead-blk --fd 3 --filter 4 --blk-file /dev/fd/5 --operations "
                   "read,write,flush,discard --num-queues 2 --serial cluster/root",
                   3);
    parts.operations = BH_DISK_READ;
    rig.device.write_through.value = true;
    rig.device.serial.text = "a-serial-that-is-too-long";
    expect_command(&parts,
                   "bulkhead-blk --fd 3 --filter 4 --blk-file /dev/fd/5 --operations read "
                   "--write-through --num-queues 2 --serial a-serial-that-is-too",
                   3);
}

static void test_command_of_no_program(void **state)
{
    struct bh_backend_command command = {.count = 0};
    (void)state;
    rig.device.type.value = BH_DEVICE_PASSTHROUGH;
    const struct bh_backend_parts parts = usual_parts(-1, -1);
    assert_int_equal(bh_backend_command(&command, "/opt/b", &parts), BH_UNSUPPORTED);
    assert_int_equal(bh_backend_program(&command, "/opt/b", BH_DEVICE_PASSTHROUGH), BH_UNSUPPORTED);
}

static void test_command_rng(void **state)
{
    (void)state;
    rig.device.type.value = BH_DEVICE_RNG;
    const struct bh_backend_parts kernel = usual_parts(-1, 21);
    const struct bh_backend_parts source = usual_parts(20, 21);
    expect_command(&kernel, "bulkhead-rng --fd 3 --filter 4", 2);
    expect_command(&source, "bulkhead-rng --fd 3 --filter 4 --source /dev/fd/5", 3);
    struct bh_backend_parts heard = source;
    heard.up_fd = 22;
    expect_command(&heard, "bulkhead-rng --fd 3 --filter 4 --up 5 --source /dev/fd/6", 4);
}

static void test_command_console(void **state)
{
    static const int ports[] = {30, 31, 32};
    static struct bh_text names[] = {{.text = "diag"}, {.text = "log"}};
    (void)state;
    rig.device.type.value = BH_DEVICE_CONSOLE;
    struct bh_backend_parts parts = usual_parts(-1, -1);
    parts.port_fds = ports;
    expect_command(&parts,
                   "bulkhead-console --fd 3 --port /dev/fd/4 --no-size --no-emergency-write", 2);
    rig.device.size.value = true;
    rig.device.emergency_write.value = true;
    rig.device.ports = (struct bh_names){.names = names, .count = 2};
    expect_command(&parts,
                   "bulkhead-console --fd 3 --port /dev/fd/4 --port diag=/dev/fd/5 --port "
                   "log=/dev/fd/6",
                   4);
}

/* ------------------------------------------------------------------------------------------------
 * refused requests */

static void test_refusal_said(void **state)
{
    (void)state;
    assert_true(bh_refusal_said("bulkhead-blk",
                                "bulkhead-blk: warning: refused, the policy does not allow it"));
    assert_false(bh_refusal_said("bulkhead-blk", "bulkhead-blk: warning: refuse"));
    assert_false(bh_refusal_said("bulkhead-blk", "bulkhead-rng: warning: refused, nothing"));
    assert_false(bh_refusal_said("bulkhead-blk", "bulkhead-blk"));
    assert_false(bh_refusal_said("bulkhead-blk", ""));
}

/* 32 at once, then one for every 5 seconds; what is not heard is counted. */
static void test_refusals_are_heard_as_often_as_an_honest_one_speaks(void **state)
{
    struct bh_refusals refusals = {.room = 32};
    (void)state;
    for (uint32_t i = 0; i < 32; i++) {
        assert_true(bh_refusals_hear(&refusals, 100));
    }
    for (uint32_t i = 0; i < 10; i++) {
        assert_false(bh_refusals_hear(&refusals, 104));
    }
    assert_int_equal(refusals.left_out, 10);
    assert_true(bh_refusals_hear(&refusals, 105));
    assert_false(bh_refusals_hear(&refusals, 109));
    assert_true(bh_refusals_hear(&refusals, 111));
    assert_false(bh_refusals_hear(&refusals, 114));
    for (uint32_t i = 0; i < 32; i++) {
        assert_true(bh_refusals_hear(&refusals, UINT64_C(1) << 40));
    }
    assert_false(bh_refusals_hear(&refusals, UINT64_C(1) << 40));
}

static void test_command_status_text(void **state)
{
    char text[64];
    (void)state;
    bh_backend_status_text(1, text, sizeof(text));
    assert_string_equal(text, "exit code 1");
    bh_backend_status_text(-9, text, sizeof(text));
    assert_string_equal(text, "signal 9 (Killed)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resource_rights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resource_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resource_without_back_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resource_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resource_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resource_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resource_denied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resource_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resource_clash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_blk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_rng, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_console, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_of_no_program, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_status_text, setup, teardown),
        cmocka_unit_test(test_refusal_said),
        cmocka_unit_test(test_refusals_are_heard_as_often_as_an_honest_one_speaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
