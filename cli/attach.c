/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead attach: connects the user's terminal, or a script's pipes, to a terminal of a guest. The
 * supervisor hands over a socket with the terminal's bytes; here they are carried, and the window's
 * size is passed on.
 *
 * States of each direction:
 *   idle    nothing is held. Bytes come -> holding
 *   holding a part is not written yet; nothing more is read. All is written -> idle
 *   closed  the script's input has ended. The other direction goes on until the guest's end closes.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "terminal.h"

#define LEAVE_KEY   0x1d /* Ctrl-] */
#define CHUNK_BYTES 4096u
#define KEYS_BYTES  256u
#define NAMES_MAX   4u /* PLATFORM/GUEST/DEVICE/PORT */

/* Bytes on their way from `from` to `to`. */
struct flow {
    int from; /* -1: closed */
    int to;
    size_t begin;
    size_t end;
    char bytes[CHUNK_BYTES];
};

enum attach_end { GOES_ON, LEFT, GUEST_CLOSED, OUTPUT_CLOSED, FAILED };

struct attachment {
    struct bh_cli_platform platform;
    int terminal_fd; /* the guest's */
    int resized_fd;  /* signalfd for SIGWINCH */
    bool raw;        /* the user's terminal is ours */
    struct flow in;
    struct flow out;
};

/* ------------------------------------------------------------------------------------------------
 * what is meant */

/* The first name is the platform if one of that name runs; otherwise there is only one platform,
 * and it is the guest. */
static bool find(struct attachment *attachment, const struct bh_cli_path *path, json_t **request)
{
    static const char *const keys[] = {"guest", "device", "port"};
    const uint32_t key_count = sizeof(keys) / sizeof(keys[0]);
    uint32_t first = path->count > 1 && bh_cli_runs(path->names[0]) ? 1 : 0;
    if (path->count - first > key_count) {
        first = 1; /* and connecting says what is wrong */
    }
    if (!bh_cli_connect(&attachment->platform, first == 1 ? path->names[0] : NULL)) {
        return false;
    }
    *request = json_pack("{s:s}", "request", "attach");
    for (uint32_t i = 0; i < key_count && first + i < path->count; i++) {
        (void)json_object_set_new(*request, keys[i], json_string(path->names[first + i]));
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * carrying */

static void send_size(const struct attachment *attachment)
{
    uint16_t rows;
    uint16_t columns;
    if (!bh_cli_terminal_size(STDOUT_FILENO, &rows, &columns)) {
        return;
    }
    json_t *answer = bh_cli_ask(&attachment->platform,
                                json_pack("{s:s, s:i, s:i}", "request", "resize", "rows", (int)rows,
                                          "columns", (int)columns),
                                NULL);
    json_decref(answer); /* a refusal was said; the terminal works without */
}

static bool holds(const struct flow *flow)
{
    return flow->begin < flow->end;
}

/* A write that may have to be tried again. */
static bool again(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* Keys, looked at one by one: the one that leaves works also while the guest reads nothing. What
 * the guest has no room for is dropped, as a terminal does it. */
static enum attach_end keys_read(struct flow *in)
{
    char keys[KEYS_BYTES];
    ssize_t length = read(in->from, keys, sizeof(keys));
    if (length < 0 && again()) {
        return GOES_ON;
    }
    if (length <= 0) {
        return LEFT; /* the user's terminal is gone */
    }
    if (!holds(in)) {
        in->begin = 0;
        in->end = 0;
    }
    for (ssize_t i = 0; i < length; i++) {
        if (keys[i] == LEAVE_KEY) {
            return LEFT;
        }
        if (in->end < sizeof(in->bytes)) {
            in->bytes[in->end] = keys[i];
            in->end++;
        }
    }
    return GOES_ON;
}

/* Reads a chunk into an empty flow. False: there will be none any more. */
static bool chunk_read(struct flow *flow)
{
    ssize_t length = read(flow->from, flow->bytes, sizeof(flow->bytes));
    flow->begin = 0;
    flow->end = length > 0 ? (size_t)length : 0;
    return length > 0 || (length < 0 && again());
}

static void input_write(struct flow *in)
{
    ssize_t sent =
        send(in->to, in->bytes + in->begin, in->end - in->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
        in->begin += (size_t)sent;
    } else if (!again()) {
        in->begin = in->end; /* nobody reads it: what was printed last is still shown */
        in->from = -1;
    }
}

static bool output_write(struct flow *out)
{
    ssize_t written = write(out->to, out->bytes + out->begin, out->end - out->begin);
    out->begin += written > 0 ? (size_t)written : 0;
    return written >= 0 || again();
}

static void resized(const struct attachment *attachment)
{
    struct signalfd_siginfo signal;
    if (read(attachment->resized_fd, &signal, sizeof(signal)) == (ssize_t)sizeof(signal)) {
        send_size(attachment);
    }
}

/* Waits for what can go on, and does it once. */
static enum attach_end carry_once(struct attachment *attachment)
{
    struct flow *in = &attachment->in;
    struct flow *out = &attachment->out;
    struct pollfd watched[] = {
        {.fd = attachment->raw || !holds(in) ? in->from : -1, .events = POLLIN},
        {.fd = holds(in) ? in->to : -1, .events = POLLOUT},
        {.fd = holds(out) ? -1 : out->from, .events = POLLIN},
        {.fd = holds(out) ? out->to : -1, .events = POLLOUT},
        {.fd = attachment->resized_fd, .events = POLLIN},
    };
    if (poll(watched, sizeof(watched) / sizeof(watched[0]), -1) < 0) {
        return errno == EINTR ? GOES_ON : FAILED;
    }
    if (watched[4].revents != 0) {
        resized(attachment);
    }
    if (watched[1].revents != 0) {
        input_write(in);
    }
    if (watched[2].revents != 0 && !chunk_read(out)) {
        return GUEST_CLOSED;
    }
    if (watched[3].revents != 0 && !output_write(out)) {
        return OUTPUT_CLOSED;
    }
    if (watched[0].revents != 0 && attachment->raw) {
        return keys_read(in);
    }
    if (watched[0].revents != 0 && !chunk_read(in)) {
        in->from = -1;
    }
    return GOES_ON;
}

static enum attach_end carry(struct attachment *attachment)
{
    enum attach_end end = GOES_ON;
    while (end == GOES_ON) {
        end = carry_once(attachment);
    }
    return end;
}

/* ------------------------------------------------------------------------------------------------
 * the command */

/* Changes of the window's size come as a descriptor; writing to a closed pipe is an error. */
static bool watch_signals(struct attachment *attachment)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGWINCH);
    (void)signal(SIGPIPE, SIG_IGN);
    attachment->resized_fd = -1;
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0) {
        attachment->resized_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    if (attachment->resized_fd < 0) {
        bh_cli_error("attach: no descriptor is left");
    }
    return attachment->resized_fd >= 0;
}

static int attach(struct attachment *attachment, const char *word)
{
    send_size(attachment);
    if (isatty(STDIN_FILENO) == 1) {
        (void)fprintf(stderr, "attached to %s; Ctrl-] leaves\n", word);
        attachment->raw = bh_cli_terminal_raw(STDIN_FILENO);
    }
    attachment->in = (struct flow){.from = STDIN_FILENO, .to = attachment->terminal_fd};
    attachment->out = (struct flow){.from = attachment->terminal_fd, .to = STDOUT_FILENO};
    enum attach_end end = carry(attachment);
    if (attachment->raw) {
        bh_cli_terminal_restore();
        (void)fprintf(stderr, "\n%s %s\n", end == LEFT ? "left" : "the end of", word);
    }
    if (end == OUTPUT_CLOSED || end == FAILED) {
        bh_cli_error("attach: %s",
                     end == FAILED ? "waiting failed" : "standard output cannot be written");
        return BH_CLI_REFUSED;
    }
    return BH_CLI_OK;
}

static int run(const struct bh_cli_arguments *arguments)
{
    struct bh_cli_path path = {.count = 0};
    struct attachment attachment = {.terminal_fd = -1};
    json_t *request;
    int result = BH_CLI_REFUSED;
    if (!bh_cli_path_read(&path, arguments->word, NAMES_MAX)) {
        return BH_CLI_USAGE;
    }
    if (!watch_signals(&attachment)) {
        return result;
    }
    if (find(&attachment, &path, &request)) {
        json_t *answer = bh_cli_ask(&attachment.platform, request, &attachment.terminal_fd);
        if (answer != NULL && attachment.terminal_fd < 0) {
            bh_cli_error("%s: its supervisor hands no terminal over", attachment.platform.name);
        } else if (answer != NULL) {
            result = attach(&attachment, arguments->word);
            (void)close(attachment.terminal_fd);
        }
        json_decref(answer);
        bh_cli_disconnect(&attachment.platform);
    }
    (void)close(attachment.resized_fd);
    return result;
}

const struct bh_cli_command bh_cli_attach = {
    .name = "attach",
    .argument = "[PLATFORM/]GUEST[/DEVICE[/PORT]]",
    .summary = "Puts a guest's terminal on this one",
    .help =
        "Without DEVICE it is the guest's first console, without PORT the console's first port.\n"
        "PLATFORM may be left out while only one is running. Ctrl-] leaves; the guest goes on.\n"
        "In a script: standard input goes to the guest, what the guest prints to standard\n"
        "output, until the guest's end closes or the program is ended.\n",
    .run = run,
    .argument_needed = true,
};
