/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: lines to standard error. No files, no time stamps (whoever reads the lines stamps them),
 * no memory but one line on the stack. Any thread may write one.
 */
#include "bulkhead/host_log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *name;
    enum bh_log_level least;
    bool journal;
    uint32_t room;  /* event lines that may be written now */
    time_t filled;  /* when `room` was last topped up */
    uint64_t shut;  /* lines left out since the last line: too many events */
    uint64_t stuck; /* the same: the reader has no room */
} log_state = {.name = "bulkhead", .least = BH_LOG_NOTICE, .room = BH_LOG_EVENT_BURST};

/* Holds all of it but what bh_log_open sets, which is called before there are threads. Nothing waits
 * while it is held. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

/* Whether standard error is the journal's stream: JOURNAL_STREAM names it as device:inode. */
static bool journal_listens(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char own[48];
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0) {
        return false;
    }
    (void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(stream, own) == 0;
}

void bh_log_open(const char *name, enum bh_log_level least)
{
    log_state.name = name;
    log_state.least = least;
    log_state.journal = journal_listens();
}

static const char *level_name(enum bh_log_level level)
{
    switch (level) {
    case BH_LOG_ERROR:
        return "error: ";
    case BH_LOG_WARNING:
        return "warning: ";
    default:
        return "";
    }
}

/* Writes a line, or counts it when the reader has no room: a pipe that is full must not hold up a
 * device. A pipe that polls as writable takes a page at once, and a line is shorter. */
static void write_line(enum bh_log_level level, const char *text)
{
    char line[BH_LOG_LINE_MAX + 64u];
    int length = log_state.journal ? snprintf(line, sizeof(line) - 1u, "<%d>%s", (int)level, text)
                                   : snprintf(line, sizeof(line) - 1u, "%s: %s%s", log_state.name,
                                              level_name(level), text);
    if (length < 0) {
        return;
    }
    size_t size = (size_t)length < sizeof(line) - 2u ? (size_t)length : sizeof(line) - 2u;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 127) {
            line[i] = '?';
        }
    }
    line[size] = '\n';
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0 ||
        write(STDERR_FILENO, line, size + 1u) < 0) {
        log_state.stuck++;
    }
}

/* Says first how many lines are missing, so that a gap never looks like silence. */
static void write_with_gap(enum bh_log_level level, const char *text)
{
    uint64_t missing = log_state.shut + log_state.stuck;
    if (missing != 0u) {
        char note[64];
        log_state.shut = 0;
        log_state.stuck = 0;
        (void)snprintf(note, sizeof(note), "%ju lines left out", (uintmax_t)missing);
        write_line(BH_LOG_WARNING, note);
        if (log_state.stuck != 0u) {
            log_state.stuck += missing; /* the note was not written either */
            return;
        }
    }
    write_line(level, text);
}

static void write_after_gap(enum bh_log_level level, const char *text)
{
    (void)pthread_mutex_lock(&log_lock);
    write_with_gap(level, text);
    (void)pthread_mutex_unlock(&log_lock);
}

void bh_log(enum bh_log_level level, const char *format, ...)
{
    char text[BH_LOG_LINE_MAX];
    va_list arguments;
    if (level > log_state.least) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    write_after_gap(level, text);
}

/* A line of the budget, topped up by one for each period since the last time. */
static bool take_room(time_t now)
{
    if (log_state.room == BH_LOG_EVENT_BURST) {
        log_state.filled = now;
    }
    uint64_t earned = (uint64_t)(now - log_state.filled) / BH_LOG_EVENT_PERIOD;
    if (earned != 0u) {
        uint64_t room = log_state.room + earned;
        log_state.room = room < BH_LOG_EVENT_BURST ? (uint32_t)room : BH_LOG_EVENT_BURST;
        log_state.filled += (time_t)(earned * BH_LOG_EVENT_PERIOD);
    }
    if (log_state.room == 0u) {
        log_state.shut++;
        return false;
    }
    log_state.room--;
    return true;
}

static bool event_allowed(void)
{
    struct timespec now = {0, 0};
    (void)pthread_mutex_lock(&log_lock);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    bool allowed = take_room(now.tv_sec);
    (void)pthread_mutex_unlock(&log_lock);
    return allowed;
}

void bh_log_event(enum bh_log_level level, const char *format, ...)
{
    char text[BH_LOG_LINE_MAX];
    va_list arguments;
    if (level > log_state.least || !event_allowed()) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    write_after_gap(level, text);
}
