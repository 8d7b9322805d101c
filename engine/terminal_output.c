/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run's output (terminal_output.h). Standard output is shared with whoever started the program,
 * so it must not be made non-blocking: a pipe or terminal is opened once more. Where that is
 * forbidden (a terminal of another user) and for sockets, what is written at a time is so little
 * that poll's word for it holds.
 */
#include "terminal_output.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/host_log.h"

#define SMALL_PIECE   256u
#define SAY_BYTES     4096u
#define READY_MAX     ((size_t)64 * 1024) /* used bytes below which guests are read */
#define LINE_OVERHEAD 128u                /* label, colours, bar, end */

static const char *const colours[] = {"\033[1m",  "\033[36m", "\033[33m", "\033[32m",
                                      "\033[35m", "\033[34m", "\033[31m"};
#define COLOURS (sizeof(colours) / sizeof(colours[0]))

static void flow_drained(void *context)
{
    struct bh_output *output = context;
    if (output->left_out > 0u && bh_outflow_free(&output->flow) > BH_OUTPUT_STORE / 2u) {
        uint64_t count = output->left_out;
        output->left_out = 0;
        bh_output_say(output, "%ju lines were left out: whoever reads this is too slow",
                      (uintmax_t)count);
    }
    if (output->flow.broken && !output->told_broken) {
        output->told_broken = true;
        bh_log(BH_LOG_WARNING, "nobody reads the output any more: the platform goes on without");
    }
    if (output->drained != NULL && bh_output_ready(output)) {
        output->drained(output->context);
    }
}

/* How the stream's descriptor can be written to without waiting. */
static int open_flow(struct bh_output *output, int fd, size_t *piece)
{
    struct stat status;
    *piece = 0;
    output->fd = fd;
    if (fd < 0 || fstat(fd, &status) != 0) {
        return BH_INVALID;
    }
    if (S_ISREG(status.st_mode)) {
        return BH_OK; /* takes what it is given; its offset is shared on purpose */
    }
    if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (again >= 0) {
            output->fd = again;
            output->own_fd = true;
            return BH_OK;
        }
    }
    *piece = SMALL_PIECE;
    return BH_OK;
}

int bh_output_init(struct bh_output *output, struct bh_poller *poller, FILE *stream, bool colour)
{
    size_t piece;
    *output = (struct bh_output){.colour = colour, .width = sizeof("bulkhead") - 1u};
    (void)fflush(stream);
    int result = open_flow(output, fileno(stream), &piece);
    if (result != BH_OK) {
        return result;
    }
    output->store = malloc(BH_OUTPUT_STORE);
    if (output->store == NULL) {
        bh_output_finish(output);
        return BH_NO_MEMORY;
    }
    bh_outflow_init(&output->flow, poller, output->fd, piece, output->store, BH_OUTPUT_STORE);
    output->flow.drained = flow_drained;
    output->flow.context = output;
    return BH_OK;
}

void bh_output_finish(struct bh_output *output)
{
    bh_outflow_finish(&output->flow);
    if (output->own_fd) {
        (void)close(output->fd);
        output->own_fd = false;
    }
    free(output->store);
    output->store = NULL;
}

void bh_output_align(struct bh_output *output, const char *label)
{
    size_t length = strlen(label);
    if (length > BH_OUTPUT_WIDTH_MAX) {
        length = BH_OUTPUT_WIDTH_MAX;
    }
    if (length > output->width) {
        output->width = length;
    }
}

bool bh_output_ready(const struct bh_output *output)
{
    return output->hurried || output->flow.broken || output->flow.used < READY_MAX;
}

void bh_output_line(struct bh_output *output, const char *label, uint32_t colour, const char *text,
                    size_t length)
{
    char head[BH_OUTPUT_LABEL_MAX + LINE_OVERHEAD];
    const char *on = "";
    const char *off = "";
    if (output->colour) {
        on = colour == BH_OUTPUT_SELF ? colours[0] : colours[1u + (colour - 1u) % (COLOURS - 1u)];
        off = "\033[0m";
    }
    int bytes = snprintf(head, sizeof(head), "%s%-*.*s |%s ", on, (int)output->width,
                         (int)BH_OUTPUT_LABEL_MAX, label, off);
    if (bytes < 0 || (size_t)bytes >= sizeof(head) ||
        bh_outflow_free(&output->flow) < (size_t)bytes + length + 1u) {
        output->left_out++;
        return;
    }
    /* There is room for all of it, so none of these can fail. */
    (void)bh_outflow_put(&output->flow, head, (size_t)bytes);
    (void)bh_outflow_put(&output->flow, text, length);
    (void)bh_outflow_put(&output->flow, "\n", 1);
}

void bh_output_say(struct bh_output *output, const char *format, ...)
{
    char text[SAY_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (char *line = text; line != NULL;) {
        char *end = strchr(line, '\n');
        size_t length = end != NULL ? (size_t)(end - line) : strlen(line);
        for (size_t i = 0; i < length; i++) {
            if ((unsigned char)line[i] < 0x20u || line[i] == 0x7f) {
                line[i] = '?';
            }
        }
        bh_output_line(output, "bulkhead", BH_OUTPUT_SELF, line, length);
        line = end != NULL ? end + 1 : NULL;
    }
}

void bh_output_flush(struct bh_output *output)
{
    struct bh_outflow *flow = &output->flow;
    while (flow->poller != NULL && !flow->broken && flow->used > 0u) {
        struct pollfd poll_fd = {.fd = output->fd, .events = POLLOUT};
        flow->poller->ops->remove(flow->poller, &flow->room); /* it is waited for here */
        bh_outflow_write(flow);
        if (flow->used > 0u) {
            (void)poll(&poll_fd, 1, -1);
        }
    }
}
