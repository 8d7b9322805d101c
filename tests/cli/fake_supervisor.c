/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A supervisor without guests, for the tests of `bulkhead`: opens a control socket and answers from
 * what it was told. Not a test itself.
 *
 * Usage: fake_supervisor PLATFORM STATUS-FILE
 * Prints what it is asked, a line each, and "ready" first. It answers `stop` with ending after some
 * more questions for the status; the guest "mule" is told to stop and does not. The terminals echo
 * what they get, in capital letters; "bye\n" closes one, "deaf" is one that reads nothing.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/engine_control.h"
#include "bulkhead/host_loop.h"

#define STATUS_MAX 65536u

static struct {
    struct bh_loop loop;
    struct bh_control *control;
    struct bh_watch terminal; /* the only one that echoes */
    const char *path;         /* of the status */
    char status[STATUS_MAX];
    int deaf_fd;
    int looks_left; /* until it ends; -1: not asked to */
} self = {.terminal = {.fd = -1}, .deaf_fd = -1, .looks_left = -1};

/* What is in STATUS-FILE.GUEST, if there is one. */
static char *guest_status(const char *guest)
{
    char path[4096];
    char text[STATUS_MAX] = "";
    (void)snprintf(path, sizeof(path), "%s.%s", self.path, guest);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return NULL;
    }
    text[fread(text, 1, sizeof(text) - 1u, file)] = '\0';
    (void)fclose(file);
    return strdup(text);
}

static char *status(void *context, const char *guest, const char **why)
{
    (void)context;
    if (guest != NULL) {
        *why = "there is no such guest";
        return guest_status(guest);
    }
    if (self.looks_left == 0) {
        bh_loop_stop(&self.loop);
    }
    self.looks_left -= self.looks_left > 0 ? 1 : 0;
    char *text = strdup(self.status);
    if (text != NULL && self.looks_left >= 0 && self.looks_left < 2) {
        char *guests = strstr(text, "\"guests\"");
        char *running = guests != NULL ? strstr(guests, "\"running\"") : NULL;
        if (running != NULL) {
            memcpy(running, "\"stopped\"", strlen("\"stopped\""));
        }
    }
    return text;
}

static int stop(void *context, const struct bh_control_who *who, const char *guest,
                const char **why)
{
    (void)context;
    (void)who;
    (void)printf("stop %s\n", guest != NULL ? guest : "all");
    if (guest != NULL && strcmp(guest, "nobody") == 0) {
        *why = "there is no guest 'nobody'; there are cluster and ivi";
        return BH_GONE;
    }
    if (guest == NULL || strcmp(guest, "mule") != 0) {
        self.looks_left = 3;
    }
    return BH_OK;
}

static void echo(struct bh_watch *watch)
{
    char bytes[256];
    ssize_t length = read(watch->fd, bytes, sizeof(bytes));
    for (ssize_t i = 0; i < length; i++) {
        bytes[i] = (char)toupper((unsigned char)bytes[i]);
    }
    if (length > 0) {
        length = write(watch->fd, bytes, (size_t)length);
    }
    if (length <= 0 || memmem(bytes, (size_t)length, "BYE\n", 4) != NULL) {
        (void)printf("detached\n");
        self.loop.poller.ops->remove(&self.loop.poller, watch);
        (void)close(watch->fd);
        watch->fd = -1;
    }
}

static int attach(void *context, const struct bh_control_who *who,
                  const struct bh_control_terminal *wanted, int *fd, uint32_t *number,
                  const char **why)
{
    int ends[2];
    (void)context;
    (void)who;
    (void)printf("attach %s %s %s\n", wanted->guest, wanted->device != NULL ? wanted->device : "-",
                 wanted->port != NULL ? wanted->port : "-");
    if (self.terminal.fd >= 0) {
        *why = "somebody is attached already";
        return BH_STATE;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return BH_LIMIT;
    }
    *fd = ends[1];
    *number = 1;
    if (strcmp(wanted->guest, "deaf") == 0) {
        self.deaf_fd = ends[0];
        return BH_OK;
    }
    self.terminal = (struct bh_watch){.fd = ends[0], .ready = echo};
    return self.loop.poller.ops->add(&self.loop.poller, &self.terminal);
}

static void resize(void *context, uint32_t number, uint16_t rows, uint16_t columns)
{
    (void)context;
    (void)printf("resize %u %ux%u\n", number, columns, rows);
}

static int mode(void *context, const struct bh_control_who *who, const char *wanted,
                struct bh_control_modes *modes, const char **why)
{
    static const char *const names[] = {"drive", "park", "workshop"};
    (void)context;
    (void)who;
    (void)printf("mode %s\n", wanted != NULL ? wanted : "?");
    *modes = (struct bh_control_modes){.now = "drive", .count = 3};
    memcpy(modes->names, names, sizeof(names));
    for (size_t i = 0; wanted != NULL && i < 3; i++) {
        if (strcmp(wanted, names[i]) == 0) {
            modes->now = names[i];
            return BH_OK;
        }
    }
    *why = "there is no such mode; the modes of this platform are drive, park, workshop";
    return wanted == NULL ? BH_OK : BH_GONE;
}

static bool read_status(const char *path)
{
    self.path = path;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, self.status, sizeof(self.status) - 1u) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    return length >= 0;
}

int main(int argc, char **argv)
{
    static const struct bh_control_handlers handlers = {status, stop, attach, resize, mode};
    char folder[4096];
    int pid;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 3 || !read_status(argv[2]) || bh_loop_init(&self.loop) != BH_OK) {
        return 2;
    }
    int result = bh_control_open(&self.control, &self.loop.poller, argv[1], &handlers, NULL, folder,
                                 sizeof(folder), &pid);
    if (result != BH_OK) {
        (void)printf("%s: %s\n", folder, bh_error_name(result));
        return 1;
    }
    (void)printf("ready\n");
    result = bh_loop_run(&self.loop);
    bh_control_close(self.control);
    bh_loop_finish(&self.loop);
    return result == BH_OK ? 0 : 1;
}
