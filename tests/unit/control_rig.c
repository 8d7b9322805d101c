/* SPDX-License-Identifier: BSD-2-Clause */
/* The rig of the control socket's tests: see its header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_rig.h"

struct control_rig control_rig;

static void keep(char to[CONTROL_TEXT], const char *text)
{
    (void)snprintf(to, CONTROL_TEXT, "%s", text != NULL ? text : "-");
}

static char *handle_status(void *context, const char *guest, const char **why)
{
    (void)context;
    keep(control_rig.guest, guest);
    if (guest != NULL && strcmp(guest, "none") == 0) {
        *why = "no such guest";
        return NULL;
    }
    return control_rig.status != NULL ? strdup(control_rig.status) : NULL;
}

/* It is this process that asks. */
static void check_who(const struct bh_control_who *who)
{
    assert_int_equal(who->pid, getpid());
    assert_int_equal(who->uid, geteuid());
}

static int handle_stop(void *context, const struct bh_control_who *who, const char *guest,
                       const char **why)
{
    (void)context;
    check_who(who);
    keep(control_rig.guest, guest);
    atomic_fetch_add(&control_rig.stops, 1u);
    if (guest != NULL && strcmp(guest, "none") == 0) {
        *why = "no guest \"none\" here";
        return BH_GONE;
    }
    return guest != NULL && strcmp(guest, "mute") == 0 ? BH_STATE : BH_OK;
}

static int handle_attach(void *context, const struct bh_control_who *who,
                         const struct bh_control_terminal *wanted, int *fd, uint32_t *number,
                         const char **why)
{
    int ends[2];
    (void)context;
    check_who(who);
    keep(control_rig.guest, wanted->guest);
    keep(control_rig.device, wanted->device);
    keep(control_rig.port, wanted->port);
    if (strcmp(wanted->guest, "none") == 0) {
        *why = "no such guest";
        return BH_GONE;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    control_rig.terminal_fd = ends[0];
    *fd = ends[1];
    *number = 7;
    return BH_OK;
}

static void handle_resize(void *context, uint32_t number, uint16_t rows, uint16_t columns)
{
    (void)context;
    assert_int_equal(number, 7);
    atomic_store(&control_rig.sizes, (uint32_t)rows << 16 | columns);
}

static int handle_mode(void *context, const struct bh_control_who *who, const char *wanted,
                       struct bh_control_modes *modes, const char **why)
{
    (void)context;
    check_who(who);
    keep(control_rig.mode, wanted);
    *modes = (struct bh_control_modes){
        .now = wanted != NULL ? wanted : "drive", .names = {"drive", "park"}, .count = 2};
    *why = "no such mode";
    return wanted != NULL && strcmp(wanted, "none") == 0 ? BH_GONE : BH_OK;
}

const struct bh_control_handlers control_rig_handlers = {
    .status = handle_status,
    .stop = handle_stop,
    .attach = handle_attach,
    .resize = handle_resize,
    .mode = handle_mode,
};

static void woken(struct bh_watch *watch)
{
    uint64_t value;
    assert_int_equal(read(watch->fd, &value, sizeof(value)), sizeof(value));
    bh_loop_stop(&control_rig.loop);
}

static void *run(void *unused)
{
    (void)unused;
    assert_int_equal(bh_loop_run(&control_rig.loop), BH_OK);
    return NULL;
}

static int descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

int control_rig_open_named(struct bh_control **control, const char *name, char *folder, int *pid)
{
    return bh_control_open(control, &control_rig.loop.poller, name, &control_rig_handlers, NULL,
                           folder, 4096, pid);
}

int control_rig_set_up(void **state)
{
    (void)state;
    control_rig = (struct control_rig){.terminal_fd = -1};
    control_rig.status = "{\"platform\": \"p\"}";
    (void)snprintf(control_rig.base, sizeof(control_rig.base), "/tmp/bulkhead-control-XXXXXX");
    if (mkdtemp(control_rig.base) == NULL || setenv("XDG_RUNTIME_DIR", control_rig.base, 1) != 0) {
        return -1;
    }
    control_rig.descriptors = descriptors();
    return bh_loop_init(&control_rig.loop);
}

void control_rig_serve(void)
{
    char folder[4096];
    int pid;
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_OK);
    control_rig.wake = (struct bh_watch){.fd = eventfd(0, EFD_CLOEXEC), .ready = woken};
    assert_int_equal(control_rig.loop.poller.ops->add(&control_rig.loop.poller, &control_rig.wake),
                     BH_OK);
    assert_int_equal(pthread_create(&control_rig.thread, NULL, run, NULL), 0);
    control_rig.threaded = true;
}

/* Lets the supervisor rest between turns: from then on the test may look into it. */
void control_rig_rest(void)
{
    const uint64_t one = 1;
    assert_int_equal(write(control_rig.wake.fd, &one, sizeof(one)), sizeof(one));
    assert_int_equal(pthread_join(control_rig.thread, NULL), 0);
    control_rig.threaded = false;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void control_rig_remove(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s%s", control_rig.base, name);
    assert_int_equal(nftw(path, remove_one, 4, FTW_DEPTH | FTW_PHYS), 0);
}

int control_rig_tear_down(void **state)
{
    (void)state;
    if (control_rig.threaded) {
        control_rig_rest();
    }
    if (control_rig.wake.added) {
        control_rig.loop.poller.ops->remove(&control_rig.loop.poller, &control_rig.wake);
        (void)close(control_rig.wake.fd);
    }
    bh_control_close(control_rig.control);
    if (control_rig.terminal_fd >= 0) {
        (void)close(control_rig.terminal_fd);
    }
    bh_loop_finish(&control_rig.loop);
    int left = descriptors() - control_rig.descriptors;
    control_rig_remove("");
    if (left != 0) {
        print_error("%d descriptors leaked\n", left);
        return -1;
    }
    return 0;
}

int control_rig_call(int fd, const char *request, char **answer)
{
    return bh_control_call(fd, request, PATIENCE, answer, NULL);
}

int control_rig_client(void)
{
    int fd;
    assert_int_equal(bh_control_connect("p", &fd), BH_OK);
    return fd;
}

void control_rig_expect(int fd, const char *request, const char *expected)
{
    char *answer;
    assert_int_equal(control_rig_call(fd, request, &answer), BH_OK);
    if (strstr(answer, expected) == NULL) {
        fail_msg("%s: %s", request, answer);
    }
    free(answer);
}

void control_rig_exists(const char *name, bool there)
{
    char path[128];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/bulkhead/%s", control_rig.base, name);
    assert_int_equal(lstat(path, &status), there ? 0 : -1);
}

void control_rig_make_folder(const char *name, unsigned int mode)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", control_rig.base, name);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, mode), 0);
}

int control_rig_impostor(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    control_rig_make_folder("bulkhead", 0700);
    control_rig_make_folder("bulkhead/p", 0700);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/bulkhead/p/control",
                   control_rig.base);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    return listener;
}
