/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happened, for those who ask later: a JSON object on a line, written whole with one call, or a
 * line in the log. `time` is the wall clock, in UTC; `number` depends on the reason (microseconds of a
 * replacement).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "keeper.h"

#define LINE_MAX_BYTES 2048u
#define FILE_MODE      0600
#define NS_IN_MS       1000000

int bh_keeper_audit_open(struct bh_keeper_audit *audit, const char *path)
{
    audit->fd = -1;
    if (path == NULL) {
        return BH_OK;
    }
    audit->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, FILE_MODE);
    if (audit->fd < 0) {
        bh_log(BH_LOG_ERROR, "--audit %s: cannot be opened for writing: %s", path, strerror(errno));
        return bh_error_from_errno(errno);
    }
    return BH_OK;
}

void bh_keeper_audit_close(struct bh_keeper_audit *audit)
{
    if (audit->fd >= 0) {
        (void)close(audit->fd);
        audit->fd = -1;
    }
}

static void put_string(FILE *out, const char *name, const char *text)
{
    (void)fprintf(out, ", \"%s\": \"", name);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            (void)fputc('\\', out);
        }
        (void)fputc(*text >= ' ' && *text <= '~' ? *text : '?', out);
    }
    (void)fputc('"', out);
}

static void put_time(FILE *out)
{
    struct timespec now;
    struct tm parts;
    char text[32] = "";
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts) != NULL) {
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    }
    (void)fprintf(out, "{\"time\": \"%s.%03ldZ\"", text, now.tv_nsec / NS_IN_MS);
}

static void write_line(const struct bh_keeper_audit *audit, uint32_t reason, uint64_t number,
                       const char *text)
{
    char line[LINE_MAX_BYTES];
    FILE *out = fmemopen(line, sizeof(line), "w");
    if (out == NULL) {
        bh_log_event(BH_LOG_ERROR, "an audit line is lost: %s", strerror(errno));
        return;
    }
    put_time(out);
    put_string(out, "guest", audit->guest);
    put_string(out, "device", audit->device);
    put_string(out, "reason", bh_gate_reason_name(reason));
    (void)fprintf(out, ", \"number\": %" PRIu64, number);
    put_string(out, "text", text);
    (void)fputs("}\n", out);
    long length = ftell(out);
    bool whole = ferror(out) == 0 && fclose(out) == 0;
    if (!whole || length <= 0 || write(audit->fd, line, (size_t)length) != (ssize_t)length) {
        bh_log_event(BH_LOG_ERROR, "an audit line is lost: the file cannot be written");
    }
}

void bh_keeper_audit_write(const struct bh_keeper_audit *audit, enum bh_log_level level,
                           uint32_t reason, uint64_t number, const char *text)
{
    const char *said = text[0] != '\0' ? text : bh_gate_reason_text(reason);
    if (reason == BH_GATE_REPLACED) {
        bh_log_event(level, "%s: %s: the guest waited %" PRIu64 ".%03u ms", audit->device,
                     bh_gate_reason_name(reason), number / 1000u, (unsigned int)(number % 1000u));
    } else {
        bh_log_event(level, "%s: %s: %s", audit->device, bh_gate_reason_name(reason), said);
    }
    if (audit->fd >= 0) {
        write_line(audit, reason, number, said);
    }
}
