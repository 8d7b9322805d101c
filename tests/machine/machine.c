/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the first guest of a definition on the engine, for test_machine.py: says what happens, line
 * by line, and does what it is told on standard input, a character each: s shut down, e end, k kill
 * the engine, b kill the back ends; anything else goes to the guest's UART. Not the supervisor: no
 * policy, and back ends open their resources themselves.
 *
 * Usage: engine-machine DEFINITION FOLDER-OF-DAEMONS
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/engine_machine.h"
#include "bulkhead/host_child.h"
#include "bulkhead/host_loop.h"

/* The program links host/, which reports disk operations. None takes place. */
struct bh_disk_io;
void bh_blk_done(struct bh_disk_io *io, int result);
void bh_blk_done(struct bh_disk_io *io, int result)
{
    (void)io;
    (void)result;
    abort();
}

static struct {
    struct bh_loop loop;
    struct bh_watch input;
    struct bh_watch uart;
    struct bh_machine *machine;
    bool running; /* the engine */
    struct bh_child backends[BH_DEVICES_MAX];
    uint32_t backend_count;
    uint32_t backends_left;
    struct timespec begin;
} self;

static double elapsed(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - self.begin.tv_sec) * 1e3 +
           (double)(now.tv_nsec - self.begin.tv_nsec) / 1e6;
}

static void end_if_all_ended(void)
{
    if (!self.running && self.backends_left == 0) {
        bh_loop_stop(&self.loop);
    }
}

static void machine_event(void *context, const struct bh_machine_event *event)
{
    static const char *const names[] = {"connected", "running", "powered-off", "reset",
                                        "panicked",  "failed",  "ended"};
    (void)context;
    if (event->type == BH_MACHINE_CONNECTED) {
        return;
    }
    (void)printf("event %s %d%s%s\n", names[event->type], event->status,
                 event->text != NULL ? " " : "", event->text != NULL ? event->text : "");
    (void)fprintf(stderr, "%s after %.1f ms\n", names[event->type], elapsed());
    if (event->type == BH_MACHINE_ENDED) {
        bh_machine_destroy(self.machine);
        self.running = false;
        end_if_all_ended();
    }
}

static void backend_ended(struct bh_child *child, int status)
{
    (void)printf("backend %d ended %d\n", (int)(child - self.backends), status);
    self.backends_left--;
    end_if_all_ended();
}

static void do_command(char command)
{
    if (!self.running) {
        return;
    }
    switch (command) {
    case 's':
        (void)printf("shut-down %s\n", bh_error_name(bh_machine_shut_down(self.machine)));
        break;
    case 'e':
        bh_machine_end(self.machine);
        break;
    case 'k':
        (void)kill(bh_machine_pid(self.machine), SIGKILL);
        break;
    case 'b':
        for (uint32_t i = 0; i < self.backend_count; i++) {
            bh_child_signal(&self.backends[i], SIGKILL);
        }
        break;
    default:
        (void)!write(self.uart.fd, &command, 1);
        break;
    }
}

static void input_ready(struct bh_watch *watch)
{
    char command;
    if (read(watch->fd, &command, 1) == 1) {
        do_command(command);
    } else {
        self.loop.poller.ops->remove(&self.loop.poller, watch);
    }
}

/* Whole lines only: events are told in between. False: there is no more. */
static bool uart_read(int fd)
{
    static char line[256];
    static size_t length;
    char byte;
    if (read(fd, &byte, 1) != 1) {
        return false;
    }
    line[length] = byte;
    length++;
    if (byte == '\n' || length == sizeof(line)) {
        (void)printf("%.*s", (int)length, line);
        length = 0;
    }
    return true;
}

static void uart_ready(struct bh_watch *watch)
{
    if (!uart_read(watch->fd)) {
        self.loop.poller.ops->remove(&self.loop.poller, watch);
    }
}

/* A back end for the device; returns the engine's end of its socket. */
static int start_backend(const struct bh_platform *platform,
                         const struct bh_device_definition *device, const char *daemons)
{
    static const char *const names[] = {"blk", "rng", "console"};
    char program[4096];
    char disk[4096];
    int line[2];
    const char *arguments[] = {"backend", "--fd", "3", NULL, NULL, NULL};
    struct bh_child *child = &self.backends[self.backend_count];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) != 0) {
        return -1;
    }
    if (device->type.value == BH_DEVICE_BLK) {
        if (bh_platform_path(platform, &device->uses->image, disk, sizeof(disk)) != BH_OK) {
            abort();
        }
        arguments[3] = "--blk-file";
        arguments[4] = disk;
    } else if (device->type.value == BH_DEVICE_CONSOLE) {
        arguments[3] = "--port";
        arguments[4] = "/dev/null";
    }
    (void)snprintf(program, sizeof(program), "%s/bulkhead-%s", daemons, names[device->type.value]);
    const struct bh_child_fd fds[] = {{line[1], 3}};
    const struct bh_child_setup setup = {.poller = &self.loop.poller,
                                         .program = program,
                                         .arguments = arguments,
                                         .fds = fds,
                                         .fd_count = 1,
                                         .output_fd = STDERR_FILENO,
                                         .isolate = true,
                                         .ended = backend_ended};
    int result = bh_child_start(child, &setup);
    (void)close(line[1]);
    if (result != BH_OK) {
        (void)printf("%s does not start: %s\n", program, bh_error_name(result));
        return -1;
    }
    self.backend_count++;
    self.backends_left++;
    return line[0];
}

static int make_region(const struct bh_layout_region *region)
{
    if (region->kind == BH_REGION_PRIVATE || region->kind == BH_REGION_RESERVED) {
        return -1;
    }
    int fd = memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)region->size) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
        abort();
    }
    return fd;
}

/* Starts the guest; everything that is opened here ends with the process. */
static int start(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                 const char *daemons)
{
    static struct bh_boot_images images;
    static struct bh_layout layout;
    static struct bh_engine engine;
    static int regions[BH_REGIONS_MAX];
    static int devices[BH_DEVICES_MAX];
    const struct bh_guest *guest = &platform->guests[0];
    void *tree = NULL;
    size_t tree_bytes = 0;
    int uart[2];
    int result = bh_engine_find(&engine, platform, guest, diagnostics);
    if (result != BH_OK) {
        return result;
    }
    (void)fprintf(stderr, "found after %.1f ms\n", elapsed());
    (void)printf("engine %u.%u %s\n", engine.major, engine.minor, engine.kvm ? "kvm" : "tcg");
    result = bh_boot_images_open(&images, platform, guest, diagnostics);
    result = result == BH_OK ? bh_layout_make(&layout, guest, &images, diagnostics) : result;
    result = result == BH_OK ? bh_machine_can_place(&layout, diagnostics) : result;
    if (result == BH_OK && layout.tree.size != 0u) {
        result = bh_device_tree_make(&layout, &tree, &tree_bytes);
    }
    if (result != BH_OK || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, uart) != 0) {
        return result;
    }
    for (uint32_t i = 0; i < layout.region_count; i++) {
        regions[i] = make_region(&layout.regions[i]);
    }
    for (uint32_t i = 0; i < guest->device_count; i++) {
        devices[i] = -1;
        if (guest->devices[i].left_out) {
            continue;
        }
        devices[i] = start_backend(platform, &guest->devices[i], daemons);
        if (devices[i] < 0) {
            return BH_IO;
        }
    }
    self.uart = (struct bh_watch){.fd = uart[0], .ready = uart_ready};
    (void)self.loop.poller.ops->add(&self.loop.poller, &self.uart);
    const struct bh_machine_setup setup = {.poller = &self.loop.poller,
                                           .platform = platform,
                                           .layout = &layout,
                                           .images = &images,
                                           .tree = tree,
                                           .tree_bytes = tree_bytes,
                                           .engine = &engine,
                                           .region_fds = regions,
                                           .device_fds = devices,
                                           .uart_fd = uart[1],
                                           .output_fd = STDERR_FILENO,
                                           .event = machine_event};
    char *text = bh_machine_command_script(&setup);
    (void)fprintf(stderr, "%s", text != NULL ? text : "");
    free(text);
    (void)clock_gettime(CLOCK_MONOTONIC, &self.begin);
    result = bh_machine_create(&self.machine, &setup);
    (void)fprintf(stderr, "created after %.1f ms\n", elapsed());
    self.running = result == BH_OK;
    (void)close(uart[1]);
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (devices[i] >= 0) {
            (void)close(devices[i]);
        }
    }
    free(tree);
    bh_boot_images_close(&images);
    return result;
}

int main(int count, char **arguments)
{
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(arguments[1]);
    if (count != 3 || diagnostics == NULL || bh_loop_init(&self.loop) != BH_OK) {
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IONBF, 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &self.begin);
    int result = bh_platform_read(&platform, arguments[1], diagnostics);
    if (result == BH_OK) {
        result = start(platform, diagnostics, arguments[2]);
    }
    bh_diagnostics_print(diagnostics, stdout, false);
    self.input = (struct bh_watch){.fd = STDIN_FILENO, .ready = input_ready};
    if (result != BH_OK || self.loop.poller.ops->add(&self.loop.poller, &self.input) != BH_OK) {
        (void)printf("not started: %s\n", bh_error_name(result));
        return 1;
    }
    result = bh_loop_run(&self.loop);
    while (uart_read(self.uart.fd)) {
        /* what the guest said last, before its engine ended */
    }
    (void)printf("over\n");
    bh_platform_destroy(platform);
    bh_diagnostics_destroy(diagnostics);
    return result == BH_OK ? 0 : 1;
}
