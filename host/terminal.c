/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tty or a stream socket as the other end of a console's port. Two watches hang on it, one for
 * each direction, on two descriptors of the same thing: a poller knows a descriptor once.
 *
 *   input   added while the model listens.
 *   room    added when a write found no room, until there is some.
 *
 * Once the other side is gone both are removed, and every call says so.
 */
#include "bulkhead/host_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_path.h"

#define PAGE       4096u
#define TOUCH_MOST ((size_t)256 * PAGE)

_Static_assert(sizeof(struct bh_span) == sizeof(struct iovec),
               "spans go to the kernel as they are");
_Static_assert(offsetof(struct bh_span, length) == offsetof(struct iovec, iov_len),
               "spans go to the kernel as they are");

/* ------------------------------------------------------------------------------------------------
 * bytes */

static const struct bh_poller_ops *poller_of(const struct bh_terminal *terminal)
{
    return terminal->setup.poller->ops;
}

static void remove_watches(struct bh_terminal *terminal)
{
    poller_of(terminal)->remove(terminal->setup.poller, &terminal->input);
    poller_of(terminal)->remove(terminal->setup.poller, &terminal->room);
    poller_of(terminal)->cancel(terminal->setup.poller, &terminal->again);
}

static int gone(struct bh_terminal *terminal, const char *why)
{
    remove_watches(terminal);
    bh_log_event(BH_LOG_NOTICE, "port %u: nobody is at %s any more: %s", terminal->setup.port,
                 terminal->setup.path, why);
    terminal->setup.happened(terminal->setup.context);
    return BH_GONE;
}

/* Memory that a front end took away shows as EFAULT in the kernel, and as SIGBUS here, where the
 * port is told of it and mends it. */
static void touch(const struct bh_span *spans, uint32_t count)
{
    size_t left = TOUCH_MOST;
    for (uint32_t i = 0; i < count; i++) {
        for (size_t at = 0; at < spans[i].length && left >= PAGE; at += PAGE) {
            (void)*(const volatile uint8_t *)(spans[i].base + at);
            left -= PAGE;
        }
        if (spans[i].length != 0u && left >= PAGE) {
            (void)*(const volatile uint8_t *)(spans[i].base + spans[i].length - 1u);
        }
    }
}

/* A transfer that moved nothing. */
static int nothing_moved(struct bh_terminal *terminal, const struct bh_span *spans, uint32_t count,
                         int number)
{
    switch (number) {
    case EAGAIN:
    case EINTR:
        return BH_AGAIN;
    case EFAULT:
        touch(spans, count);
        return BH_AGAIN;
    default:
        return gone(terminal, strerror(number));
    }
}

static struct msghdr message_of(const struct bh_span *spans, uint32_t count)
{
    return (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)spans, .msg_iovlen = count};
}

static const struct iovec *vector_of(const struct bh_span *spans)
{
    return (const struct iovec *)(const void *)spans;
}

static int terminal_write(void *context, const struct bh_span *spans, uint32_t count)
{
    struct bh_terminal *terminal = context;
    const struct msghdr message = message_of(spans, count);
    ssize_t done = terminal->tty
                       ? writev(terminal->room.fd, vector_of(spans), (int)count)
                       : sendmsg(terminal->room.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done > 0) {
        return (int)done; /* the kernel moves less than 2 GiB at a time */
    }
    int result = done == 0 ? BH_AGAIN : nothing_moved(terminal, spans, count, errno);
    if (result == BH_AGAIN && !terminal->room.added &&
        poller_of(terminal)->add(terminal->setup.poller, &terminal->room) != BH_OK) {
        return gone(terminal, "it cannot be watched");
    }
    return result;
}

static int terminal_read(void *context, const struct bh_span *spans, uint32_t count)
{
    struct bh_terminal *terminal = context;
    struct msghdr message = message_of(spans, count);
    ssize_t done = terminal->tty ? readv(terminal->input.fd, vector_of(spans), (int)count)
                                 : recvmsg(terminal->input.fd, &message, MSG_DONTWAIT);
    if (done > 0) {
        return (int)done;
    }
    return done == 0 ? gone(terminal, "end of file") : nothing_moved(terminal, spans, count, errno);
}

static void terminal_listen(void *context, bool on)
{
    struct bh_terminal *terminal = context;
    if (!on) {
        poller_of(terminal)->remove(terminal->setup.poller, &terminal->input);
    } else if (poller_of(terminal)->add(terminal->setup.poller, &terminal->input) != BH_OK) {
        bh_log(BH_LOG_ERROR, "%s cannot be watched: no input", terminal->setup.path);
    }
}

const struct bh_terminal_ops bh_terminal_host_ops = {
    .write = terminal_write,
    .read = terminal_read,
    .listen = terminal_listen,
};

/* ------------------------------------------------------------------------------------------------
 * events */

static void input_ready(struct bh_watch *watch)
{
    struct bh_terminal *terminal = watch->context;
    bh_console_readable(terminal->setup.console, terminal->setup.port);
    terminal->setup.happened(terminal->setup.context);
}

static void offer(struct bh_terminal *terminal)
{
    if (bh_console_writable(terminal->setup.console, terminal->setup.port)) {
        poller_of(terminal)->post(terminal->setup.poller, &terminal->again);
    }
    terminal->setup.happened(terminal->setup.context);
}

static void room_ready(struct bh_watch *watch)
{
    struct bh_terminal *terminal = watch->context;
    poller_of(terminal)->remove(terminal->setup.poller, watch);
    offer(terminal);
}

static void run_again(struct bh_task *task)
{
    offer(task->context);
}

/* ------------------------------------------------------------------------------------------------
 * opening */

static int refuse(const char *path, const char *what, int number)
{
    bh_log(BH_LOG_ERROR, "%s: %s: %s", path, what, strerror(number));
    return bh_error_from_errno(number);
}

static bool is_stream(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);
    struct sockaddr_storage peer;
    socklen_t peer_size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getpeername(fd, (struct sockaddr *)(void *)&peer, &peer_size) == 0;
}

/* A description of its own, if that can be had, so that O_NONBLOCK concerns nobody else. */
static int reopen(const char *path, int *fd)
{
    int own = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (own >= 0) {
        (void)close(*fd);
        *fd = own;
        return BH_OK;
    }
    int flags = fcntl(*fd, F_GETFL);
    return flags >= 0 && fcntl(*fd, F_SETFL, flags | O_NONBLOCK) == 0
               ? BH_OK
               : refuse(path, "cannot be used", errno);
}

/* The descriptor that the path names is in *fd. */
static int open_inherited(struct bh_terminal *terminal, int *fd)
{
    const char *path = terminal->setup.path;
    terminal->tty = isatty(*fd) == 1;
    if (terminal->tty) {
        return reopen(path, fd);
    }
    if (!is_stream(*fd)) {
        bh_log(BH_LOG_ERROR, "%s: is neither a terminal nor a connected stream socket", path);
        return BH_INVALID;
    }
    return BH_OK;
}

/* The kind is looked at before: opening a pipe or a tape has effects. */
static int open_path(struct bh_terminal *terminal, int *fd)
{
    const char *path = terminal->setup.path;
    struct stat status;
    if (stat(path, &status) != 0) {
        return refuse(path, "cannot be opened", errno);
    }
    *fd = S_ISCHR(status.st_mode) ? open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) : -1;
    if (*fd < 0 && S_ISCHR(status.st_mode)) {
        return refuse(path, "cannot be opened", errno);
    }
    if (*fd < 0 || isatty(*fd) != 1) {
        bh_log(BH_LOG_ERROR, "%s: is no terminal", path);
        return BH_INVALID;
    }
    terminal->tty = true;
    return BH_OK;
}

static int open_any(struct bh_terminal *terminal, int *fd)
{
    int number = bh_path_fd(terminal->setup.path);
    if (number == BH_INVALID) {
        return refuse(terminal->setup.path, "cannot be used", EBADF);
    }
    *fd = number >= 0 ? number : -1;
    return number >= 0 ? open_inherited(terminal, fd) : open_path(terminal, fd);
}

/* The guest's terminal driver does all that the host's would do. */
static int make_raw(struct bh_terminal *terminal)
{
    if (tcgetattr(terminal->input.fd, &terminal->before) != 0) {
        return refuse(terminal->setup.path, "cannot be set up", errno);
    }
    struct termios raw = terminal->before;
    cfmakeraw(&raw);
    return tcsetattr(terminal->input.fd, TCSANOW, &raw) == 0
               ? BH_OK
               : refuse(terminal->setup.path, "cannot be made raw", errno);
}

int bh_terminal_open(struct bh_terminal *terminal, const struct bh_terminal_setup *setup)
{
    int fd = -1;
    *terminal = (struct bh_terminal){
        .setup = *setup,
        .input = {.fd = -1, .ready = input_ready, .context = terminal},
        .room = {.fd = -1, .ready = room_ready, .context = terminal, .room = true},
        .again = {.run = run_again, .context = terminal},
    };
    int result = open_any(terminal, &fd);
    terminal->input.fd = fd;
    if (result == BH_OK) {
        terminal->room.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        result = terminal->room.fd < 0 ? refuse(setup->path, "cannot be used", errno) : BH_OK;
    }
    if (result == BH_OK && terminal->tty) {
        result = make_raw(terminal);
        terminal->tty = result == BH_OK;
    }
    if (result != BH_OK) {
        terminal->tty = false; /* nothing is to be put back */
        bh_terminal_close(terminal);
    }
    return result;
}

void bh_terminal_close(struct bh_terminal *terminal)
{
    remove_watches(terminal);
    if (terminal->tty) {
        /* It fails for a tty whose other side is gone: then there is nothing to put back. */
        (void)tcsetattr(terminal->input.fd, TCSANOW, &terminal->before);
    }
    if (terminal->input.fd >= 0) {
        (void)close(terminal->input.fd);
    }
    if (terminal->room.fd >= 0) {
        (void)close(terminal->room.fd);
    }
    terminal->input.fd = -1;
    terminal->room.fd = -1;
}

void bh_terminal_size(const struct bh_terminal *terminal, uint16_t *cols, uint16_t *rows)
{
    struct winsize size;
    *cols = 0;
    *rows = 0;
    if (terminal->tty && ioctl(terminal->input.fd, TIOCGWINSZ, &size) == 0) {
        *cols = size.ws_col;
        *rows = size.ws_row;
    }
}

uint32_t bh_terminal_requests(const unsigned long **requests)
{
    /* The size; and the settings, to put them back. */
    static const unsigned long needed[] = {TIOCGWINSZ, TCGETS, TCSETS};
    *requests = needed;
    return sizeof(needed) / sizeof(needed[0]);
}
