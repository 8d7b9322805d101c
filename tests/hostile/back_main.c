/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of the hostile back end: options, the table of attacks, the loop. Each start counts as a
 * generation (a byte in the file `count` of the state folder); generations `first` to `first` +
 * `attacks` - 1 attack, those before die of themselves at a request, those after are honest.
 */
#include "back.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bulkhead/virtio.h"
#include "bulkhead/virtio_blk.h"

#define DIES_AT 100u /* requests, before the first generation that attacks */

static const struct attack honest = {.name = "honest"};

static const char usage[] =
    "usage: hostile-backend --fd N|--listen PATH --image FILE --state FOLDER [--attack NAME[:N]]\n"
    "                       [--first N] [--attacks N] [--queues N] [--secret NAME=HEX]...\n"
    "       hostile-backend --list\n";

/* ---- report ---- */

void say(struct back *back, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fprintf(back->report, "%u ", back->generation);
    (void)vfprintf(back->report, format, list);
    (void)fputc('\n', back->report);
    va_end(list);
    if (fflush(back->report) != 0) {
        _exit(3);
    }
}

void did(struct back *back)
{
    if (!back->did) {
        back->did = true;
        say(back, "did %s:%llu", back->attack->name, (unsigned long long)back->argument);
    }
}

uint32_t draw(struct back *back)
{
    back->random = back->random * 1664525u + 1013904223u;
    return back->random >> 8 | back->random << 24;
}

/* ---- options ---- */

static const struct attack *find_in(const struct attack *attacks, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(attacks[i].name, name) == 0) {
            return &attacks[i];
        }
    }
    return NULL;
}

/* NAME or NAME:NUMBER. */
static bool take_attack(struct back *back, char *text)
{
    char *number = strchr(text, ':');
    if (number != NULL) {
        *number = '\0';
        back->argument = strtoull(number + 1, NULL, 0);
    }
    const struct attack *found = find_in(&honest, 1, text);
    found = found != NULL ? found : find_in(talk_attacks, talk_attack_count, text);
    found = found != NULL ? found : find_in(lies_attacks, lies_attack_count, text);
    found = found != NULL ? found : find_in(look_attacks, look_attack_count, text);
    back->attack = found;
    return found != NULL;
}

static bool take_secret(struct back *back, const char *text)
{
    struct secret *secret = &back->secrets[back->secret_count];
    const char *hex = strchr(text, '=');
    if (back->secret_count == SECRETS_MAX || hex == NULL || strlen(hex) != 1u + 2u * SECRET_BYTES) {
        return false;
    }
    (void)snprintf(secret->name, sizeof(secret->name), "%.*s", (int)(hex - text), text);
    for (unsigned i = 0; i < SECRET_BYTES; i++) {
        char digits[3] = {hex[1u + 2u * i], hex[2u + 2u * i], '\0'};
        secret->bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    back->secret_count++;
    return true;
}

struct line {
    const char *listen;
    const char *image;
    uint32_t first;
    uint32_t attacks;
};

static bool take(struct back *back, struct line *line, int option, char *text)
{
    switch (option) {
    case 'f':
        back->connection = (int)strtol(text, NULL, 10);
        return true;
    case 'l':
        line->listen = text;
        return true;
    case 'i':
        line->image = text;
        return true;
    case 's':
        back->state = text;
        return true;
    case 'a':
        return take_attack(back, text);
    case '1':
        line->first = (uint32_t)strtoul(text, NULL, 0);
        return true;
    case 'n':
        line->attacks = (uint32_t)strtoul(text, NULL, 0);
        return true;
    case 'q':
        back->queue_count = strtoull(text, NULL, 0);
        return true;
    default:
        return option == 'x' && take_secret(back, text);
    }
}

static bool parse(struct back *back, struct line *line, int argc, char **argv)
{
    static const struct option options[] = {
        {"fd", required_argument, NULL, 'f'},      {"listen", required_argument, NULL, 'l'},
        {"image", required_argument, NULL, 'i'},   {"state", required_argument, NULL, 's'},
        {"attack", required_argument, NULL, 'a'},  {"first", required_argument, NULL, '1'},
        {"attacks", required_argument, NULL, 'n'}, {"queues", required_argument, NULL, 'q'},
        {"secret", required_argument, NULL, 'x'},  {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take(back, line, option, optarg)) {
            return false;
        }
    }
    return back->state != NULL && line->image != NULL &&
           (back->connection >= 0) != (line->listen != NULL);
}

static void print_names(const struct attack *attacks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)printf("%s\n", attacks[i].name);
    }
}

/* ---- start ---- */

static int open_in(const struct back *back, const char *name, int flags)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", back->state, name);
    return open(path, flags | O_CLOEXEC, 0666);
}

static bool count_generation(struct back *back)
{
    struct stat info;
    int fd = open_in(back, "count", O_WRONLY | O_CREAT | O_APPEND);
    if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &info) != 0) {
        return false;
    }
    back->generation = (uint32_t)info.st_size;
    return close(fd) == 0;
}

static int accept_one(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    (void)unlink(path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 1) != 0) {
        return -1;
    }
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    (void)close(fd);
    return connection;
}

static bool begin(struct back *back, const struct line *line)
{
    struct stat info;
    int report = open_in(back, "report", O_WRONLY | O_CREAT | O_APPEND);
    back->report = report >= 0 ? fdopen(report, "a") : NULL;
    back->image = open(line->image, O_RDWR | O_CLOEXEC);
    if (back->report == NULL || !count_generation(back) || back->image < 0 ||
        fstat(back->image, &info) != 0) {
        return false;
    }
    back->image_size = (uint64_t)info.st_size;
    back->random = 1u + back->generation * 7919u;
    back->armed = back->generation >= line->first && back->generation < line->first + line->attacks;
    back->turn = back->generation - line->first;
    back->offered = BH_F_VERSION_1 | BH_F_INDIRECT_DESC | BH_F_RING_PACKED | BH_BLK_F_FLUSH |
                    BH_BLK_F_SEG_MAX | BH_BLK_F_BLK_SIZE | BH_BLK_F_MQ | BH_VU_F_PROTOCOL_FEATURES;
    back->protocol_offered = BH_VU_PROTOCOL_F_MQ | BH_VU_PROTOCOL_F_REPLY_ACK |
                             BH_VU_PROTOCOL_F_BACKEND_REQ | BH_VU_PROTOCOL_F_CONFIG |
                             BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS | BH_VU_PROTOCOL_F_STATUS;
    for (uint16_t i = 0; i < QUEUES_MAX; i++) {
        back->rings[i] = (struct ring){.index = i, .kick = -1, .call = -1, .error = -1};
    }
    blk_config(back);
    say(back, "start %d %s", (int)getpid(), back->armed ? "hostile" : "honest");
    if (back->armed && back->attack->start != NULL) {
        back->attack->start(back);
    }
    return true;
}

/* ---- loop ---- */

static bool converse(struct back *back)
{
    struct message message;
    struct message reply;
    if (!wire_receive(back, &message)) {
        return false;
    }
    say(back, "message %u", message.header.request);
    if (back->armed && back->attack->message != NULL && back->attack->message(back, &message)) {
        wire_drop_fds(&message);
        return true;
    }
    if (wire_answer(back, &message, &reply)) {
        wire_reply(back, &reply);
    }
    wire_drop_fds(&message);
    return true;
}

static uint32_t collect(const struct back *back, struct pollfd *polled, const uint16_t **rings)
{
    static uint16_t indices[QUEUES_MAX + 1u];
    uint32_t count = 1;
    polled[0] = (struct pollfd){.fd = back->connection, .events = POLLIN};
    for (uint16_t i = 0; i < QUEUES_MAX; i++) {
        if (back->rings[i].running && back->rings[i].kick >= 0) {
            indices[count] = i;
            polled[count] = (struct pollfd){.fd = back->rings[i].kick, .events = POLLIN};
            count++;
        }
    }
    *rings = indices;
    return count;
}

static void loop(struct back *back, uint32_t first)
{
    for (;;) {
        struct pollfd polled[QUEUES_MAX + 1u];
        const uint16_t *rings;
        uint32_t count = collect(back, polled, &rings);
        if (poll(polled, count, -1) < 0 && errno != EINTR) {
            return;
        }
        for (uint32_t i = 1; i < count; i++) {
            struct ring *ring = &back->rings[rings[i]];
            uint64_t kicks;
            if ((polled[i].revents & POLLIN) != 0 && read(ring->kick, &kicks, sizeof(kicks)) > 0) {
                ring_work(back, ring);
            }
        }
        if (back->generation < first && back->served >= DIES_AT) {
            say(back, "dies");
            return;
        }
        if (polled[0].revents != 0 && !converse(back)) {
            return;
        }
    }
}

int main(int argc, char **argv)
{
    static struct back back;
    struct line line = {.first = 1, .attacks = 1};
    back.attack = &honest;
    back.connection = -1;
    back.line = -1;
    back.queue_count = 2;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        print_names(talk_attacks, talk_attack_count);
        print_names(lies_attacks, lies_attack_count);
        print_names(look_attacks, look_attack_count);
        return 0;
    }
    if (!parse(&back, &line, argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (!begin(&back, &line)) {
        perror("hostile-backend");
        return 1;
    }
    if (line.listen != NULL) {
        back.connection = accept_one(line.listen);
    }
    loop(&back, line.first);
    say(&back, "end served %llu", (unsigned long long)back.served);
    return 0;
}
