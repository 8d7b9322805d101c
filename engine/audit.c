/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The audit log (audit.h). It knows the form of an entry, and not what the events mean.
 */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/host_error.h"

#define MODE_FILE     0600u
#define LINE_MAX_READ 16384u /* no entry is longer */
#define LOCK_WAIT_MS  500u   /* what was killed lets go of its lock within this time */
#define LOCK_PAUSE_MS 20u
#define TIME_BYTES    40u
#define MSEC_PER_SEC  1000
#define NSEC_PER_MSEC 1000000

/* ------------------------------------------------------------------------------------------------
 * opening */

__attribute__((format(printf, 3, 4))) static int refuse(struct bh_state_folder *state, int result,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(state->why, sizeof(state->why), format, arguments);
    va_end(arguments);
    return result;
}

static int refuse_errno(struct bh_state_folder *state, const char *what)
{
    int number = errno;
    return refuse(state, bh_error_from_errno(number),
                  "%s/" BH_AUDIT_FILE ": the audit log cannot be %s: %s; mend it, or name another "
                  "folder with --state",
                  state->path, what, strerror(number));
}

static int check_file(struct bh_state_folder *state, int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return refuse_errno(state, "looked at");
    }
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
        (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return refuse(state, BH_DENIED,
                      "%s/" BH_AUDIT_FILE ": the audit log has to be a file of this user, which "
                      "nobody else may write: move it away, or name another folder with --state",
                      state->path);
    }
    return BH_OK;
}

/* The lock of a run that was just killed is waited for. */
static int lock_file(struct bh_state_folder *state, int fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * (long)NSEC_PER_MSEC};
    for (uint32_t waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += LOCK_PAUSE_MS) {
        if (errno != EWOULDBLOCK) {
            return refuse_errno(state, "locked");
        }
        if (waited >= LOCK_WAIT_MS) {
            return refuse(state, BH_STATE,
                          "%s/" BH_AUDIT_FILE ": another run writes this audit log; give each "
                          "platform a state folder of its own with --state",
                          state->path);
        }
        (void)nanosleep(&pause, NULL);
    }
    return BH_OK;
}

/* The number of the last entry; 0 where there is none, or what stands there is none. */
static uint64_t number_of(const char *line)
{
    json_t *entry = json_loads(line, 0, NULL);
    json_int_t number = json_integer_value(json_object_get(entry, "number"));
    json_decref(entry);
    return number > 0 ? (uint64_t)number : 0u;
}

/* Finds the last whole line, and ends one that a loss of power cut off. */
static int find_end(struct bh_audit *audit, struct bh_state_folder *state)
{
    char text[LINE_MAX_READ + 1u];
    off_t size = lseek(audit->fd, 0, SEEK_END);
    off_t from = size > (off_t)LINE_MAX_READ ? size - (off_t)LINE_MAX_READ : 0;
    ssize_t length = size >= 0 ? pread(audit->fd, text, LINE_MAX_READ, from) : -1;
    if (length < 0) {
        return refuse_errno(state, "read");
    }
    text[length] = '\0';
    if (length > 0 && text[length - 1] != '\n' && write(audit->fd, "\n", 1) != 1) {
        return refuse_errno(state, "written");
    }
    char *end = strrchr(text, '\n');
    if (end != NULL) {
        *end = '\0';
        const char *begin = strrchr(text, '\n');
        audit->number = number_of(begin != NULL ? begin + 1 : text);
    }
    return BH_OK;
}

int bh_audit_open(struct bh_audit *audit, struct bh_state_folder *state)
{
    *audit = (struct bh_audit){.fd = -1};
    audit->fd = openat(state->fd, BH_AUDIT_FILE,
                       O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                       MODE_FILE);
    if (audit->fd < 0) {
        return refuse_errno(state, "opened");
    }
    int result = check_file(state, audit->fd);
    if (result == BH_OK) {
        result = lock_file(state, audit->fd);
    }
    if (result == BH_OK) {
        result = find_end(audit, state);
    }
    if (result != BH_OK) {
        bh_audit_close(audit);
    }
    return result;
}

void bh_audit_close(struct bh_audit *audit)
{
    if (audit->fd >= 0) {
        (void)close(audit->fd);
        audit->fd = -1;
    }
}

/* ------------------------------------------------------------------------------------------------
 * entries */

static uint64_t milliseconds(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * MSEC_PER_SEC + (uint64_t)time->tv_nsec / NSEC_PER_MSEC;
}

/* RFC 3339, in UTC. */
static void time_text(const struct timespec *now, char text[TIME_BYTES])
{
    struct tm parts;
    char seconds[TIME_BYTES - 8u];
    (void)gmtime_r(&now->tv_sec, &parts);
    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text, TIME_BYTES, "%s.%03uZ", seconds,
                   (unsigned int)(now->tv_nsec / NSEC_PER_MSEC));
}

/* An entry as a text; NULL: no memory. */
static char *entry_text(uint64_t number, const char *event, json_t *members)
{
    char time[TIME_BYTES];
    struct timespec wall;
    struct timespec monotonic;
    (void)clock_gettime(CLOCK_REALTIME, &wall); /* neither can fail */
    (void)clock_gettime(CLOCK_MONOTONIC, &monotonic);
    time_text(&wall, time);
    json_t *entry = json_pack("{s:I, s:s, s:I, s:s}", "number", (json_int_t)number, "time", time,
                              "ms", (json_int_t)milliseconds(&monotonic), "event", event);
    char *text = NULL;
    if (members != NULL && json_object_update(entry, members) == 0) {
        text = json_dumps(entry, JSON_COMPACT | JSON_ENSURE_ASCII);
    }
    json_decref(entry);
    return text;
}

/* One write. A part of a line would spoil the next one, and is taken back. */
static int write_line(int fd, char *text)
{
    char end[] = "\n";
    const struct iovec parts[] = {{text, strlen(text)}, {end, 1}};
    ssize_t done = writev(fd, parts, 2);
    if (done == (ssize_t)(parts[0].iov_len + 1u)) {
        return BH_OK;
    }
    int result = done < 0 ? bh_error_from_errno(errno) : BH_NO_SPACE;
    off_t size = done > 0 ? lseek(fd, 0, SEEK_END) : -1;
    if (size >= done && ftruncate(fd, size - done) != 0) {
        return bh_error_from_errno(errno);
    }
    return result;
}

static int add(struct bh_audit *audit, const char *event, json_t *members)
{
    audit->number++;
    char *text = entry_text(audit->number, event, members);
    if (text == NULL) {
        return BH_NO_MEMORY;
    }
    int result = write_line(audit->fd, text);
    free(text);
    return result;
}

void bh_audit_add(struct bh_audit *audit, const char *event, const char *members, ...)
{
    va_list arguments;
    va_start(arguments, members);
    json_t *packed = json_vpack_ex(NULL, 0, members, arguments);
    va_end(arguments);
    if (audit->fd < 0) {
        json_decref(packed); /* with what the caller made for it */
        return;
    }
    int result = add(audit, event, packed);
    json_decref(packed);
    audit->lost += result != BH_OK ? 1u : 0u;
    if ((result != BH_OK) != audit->failing) {
        audit->failing = result != BH_OK;
        if (audit->changed != NULL) {
            audit->changed(audit->context, result);
        }
    }
}

json_t *bh_audit_text(const char *text)
{
    json_t *whole = json_string(text);
    if (whole != NULL) {
        return whole;
    }
    char *ascii = strdup(text);
    if (ascii == NULL) {
        return NULL;
    }
    for (size_t i = 0; ascii[i] != '\0'; i++) {
        if ((unsigned char)ascii[i] >= 0x80u) {
            ascii[i] = '?';
        }
    }
    json_t *result = json_string(ascii);
    free(ascii);
    return result;
}
