/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead events: the audit log of a platform in columns, or as it is. It reads the file and asks
 * nobody but for where it is; what the entries mean stands in bulkhead(1).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "command.h"

#define AUDIT_FILE "audit.jsonl"
#define LINE_SIZE  16384u /* no entry is longer */
#define CELL_SIZE  1024u
#define PAUSE_MS   200u

enum events_option { OPTION_FOLLOW, OPTION_JSON, OPTION_STATE };

/* Lines of the log, piece by piece. */
struct reader {
    int fd;
    bool as_json;
    char line[LINE_SIZE + 1u];
    size_t length;
    bool too_long; /* the rest of this line is passed over */
};

/* What comes from a file goes to a terminal: no control characters. */
static void put_text(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text);
    for (size_t i = 0; to[i] != '\0'; i++) {
        if (to[i] < ' ' || to[i] > '~') {
            to[i] = '?';
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * an entry */

static void put_who(char *to, size_t size, const json_t *entry)
{
    const char *guest = bh_cli_text(entry, "guest");
    const char *device = bh_cli_text(entry, "device");
    char both[CELL_SIZE];
    (void)snprintf(both, sizeof(both), "%s%s%s", guest[0] != '\0' ? guest : "-",
                   device[0] != '\0' ? "/" : "", device);
    put_text(to, size, both);
}

/* In a word: what the gate calls it, or the event with the state that it tells. */
static void put_reason(char *to, size_t size, const json_t *entry)
{
    const char *event = bh_cli_text(entry, "event");
    const char *state = bh_cli_text(entry, "state");
    char word[CELL_SIZE];
    if (strcmp(event, "device") == 0) {
        (void)snprintf(word, sizeof(word), "%s", bh_cli_text(entry, "reason"));
    } else {
        (void)snprintf(word, sizeof(word), "%s%s%s", event, state[0] != '\0' ? " " : "", state);
    }
    put_text(to, size, word);
}

static bool is_shown_elsewhere(const char *key)
{
    static const char *const keys[] = {"number", "time",   "ms",   "event",  "guest", "device",
                                       "state",  "reason", "text", "detail", "how"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

static size_t add(char *to, size_t size, size_t used, const char *text)
{
    int length = used < size ? snprintf(to + used, size - used, "%s", text) : 0;
    return length > 0 ? used + (size_t)length : used;
}

/* What it says in words, and then all the rest. */
static void put_rest(char *to, size_t size, json_t *entry)
{
    static const char *const words[] = {"text", "detail", "how"};
    const char *key;
    json_t *value;
    size_t used = 0;
    char said[CELL_SIZE] = "";
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const char *text = bh_cli_text(entry, words[i]);
        used = add(said, sizeof(said), used, used > 0 && text[0] != '\0' ? "; " : "");
        used = add(said, sizeof(said), used, text);
    }
    json_object_foreach(entry, key, value)
    {
        char *text = is_shown_elsewhere(key) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
        if (text != NULL) {
            used = add(said, sizeof(said), used, used > 0 ? " " : "");
            used = add(said, sizeof(said), used, key);
            used = add(said, sizeof(said), used, "=");
            used = add(said, sizeof(said), used, text);
            free(text);
        }
    }
    put_text(to, size, said);
}

static void print_entry(json_t *entry)
{
    char time[64];
    char who[CELL_SIZE];
    char reason[CELL_SIZE];
    char rest[CELL_SIZE];
    put_text(time, sizeof(time), bh_cli_text(entry, "time"));
    put_who(who, sizeof(who), entry);
    put_reason(reason, sizeof(reason), entry);
    put_rest(rest, sizeof(rest), entry);
    (void)printf("%-24s  %-16s  %-18s  %s\n", time, who, reason, rest);
}

/* ------------------------------------------------------------------------------------------------
 * the log */

static void take_line(struct reader *reader)
{
    reader->line[reader->length] = '\0';
    json_t *entry = reader->too_long ? NULL : json_loads(reader->line, 0, NULL);
    if (!json_is_object(entry)) {
        bh_cli_error("events: a line of the log is no entry; it is passed over");
    } else if (reader->as_json) {
        (void)printf("%s\n", reader->line);
    } else {
        print_entry(entry);
    }
    json_decref(entry);
    reader->length = 0;
    reader->too_long = false;
}

static void feed(struct reader *reader, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            take_line(reader);
        } else if (reader->length < LINE_SIZE) {
            reader->line[reader->length] = bytes[i];
            reader->length++;
        } else {
            reader->too_long = true;
        }
    }
}

/* Reads what there is. False, and said: it cannot be read. */
static bool read_all(struct reader *reader)
{
    char bytes[LINE_SIZE];
    for (;;) {
        ssize_t count = read(reader->fd, bytes, sizeof(bytes));
        if (count == 0) {
            return true;
        }
        if (count < 0 && errno != EINTR) {
            bh_cli_error("events: the audit log cannot be read: %s", strerror(errno));
            return false;
        }
        feed(reader, bytes, count > 0 ? (size_t)count : 0u);
    }
}

static int show(struct reader *reader, bool follow)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    bool good = read_all(reader);
    while (good && follow) {
        /* Nobody reads any more, or what was printed did not arrive. */
        if (fflush(stdout) != 0) {
            return BH_CLI_REFUSED;
        }
        (void)nanosleep(&pause, NULL);
        good = read_all(reader);
    }
    return good ? BH_CLI_OK : BH_CLI_REFUSED;
}

/* Where it is: the user said so, or the platform that runs. */
static bool find_log(const struct bh_cli_arguments *arguments, char path[PATH_MAX])
{
    const char *state = arguments->options[OPTION_STATE];
    struct bh_cli_platform platform;
    int length = 0;
    if (state != NULL) {
        length = snprintf(path, PATH_MAX, "%s/" AUDIT_FILE, state);
    } else {
        if (!bh_cli_connect(&platform, arguments->word)) {
            return false;
        }
        json_t *answer = bh_cli_ask(&platform, json_pack("{s:s}", "request", "status"), NULL);
        const json_t *audit = json_object_get(json_object_get(answer, "status"), "audit");
        length = snprintf(path, PATH_MAX, "%s", bh_cli_text(audit, "path"));
        bh_cli_disconnect(&platform);
        json_decref(answer);
        if (answer == NULL) {
            return false;
        }
    }
    if (length <= 0 || length >= PATH_MAX) {
        bh_cli_error("events: the path of the audit log is too long, or there is none");
        return false;
    }
    return true;
}

static int open_log(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        bh_cli_error("events: %s: %s; --state names the folder that has it", path, strerror(errno));
        return -1;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        bh_cli_error("events: %s: is no file; --state names the folder that has the log", path);
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int run(const struct bh_cli_arguments *arguments)
{
    char path[PATH_MAX];
    if (arguments->word != NULL && arguments->options[OPTION_STATE] != NULL) {
        return bh_cli_usage(&bh_cli_events, "give --state or a platform, and not both", NULL);
    }
    if (!find_log(arguments, path)) {
        return BH_CLI_REFUSED;
    }
    struct reader reader = {.fd = open_log(path),
                            .as_json = arguments->options[OPTION_JSON] != NULL};
    if (reader.fd < 0) {
        return BH_CLI_REFUSED;
    }
    int result = show(&reader, arguments->options[OPTION_FOLLOW] != NULL);
    (void)close(reader.fd);
    return result;
}

const struct bh_cli_command bh_cli_events = {
    .name = "events",
    .argument = "[PLATFORM]",
    .summary = "Shows what happened to a platform: its audit log",
    .help = "PLATFORM may be left out while only one is running. Each line has the time (UTC), the "
            "guest\n"
            "and device (-: the platform), what happened in a word, and what is known of it.\n",
    .options = {[OPTION_FOLLOW] = {"follow", NULL, "go on as more happens, until Ctrl-C", 'f'},
                [OPTION_JSON] = {"json", NULL, "print the entries as they are, JSON", '\0'},
                [OPTION_STATE] = {"state", "DIR",
                                  "read the log of this state folder; nothing has to run", '\0'}},
    .run = run,
};
