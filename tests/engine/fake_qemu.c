/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that the supervisor takes for QEMU: it has no guest, and behaves as a file tells. It
 * speaks as much QMP as a run needs, prints what a guest would on the UART, and keeps the back
 * ends' sockets open until it ends.
 *
 * The file is PROGRAM.GUEST, one word on a line, each done in turn once the guest is let go:
 *   print TEXT   on the UART; \n and \r are line ends, and nothing follows by itself
 *   pause        for half a second
 *   flood        on the UART, until it is told to stop
 *   off, reset, panic   the guest ends that way, and the engine with it
 *   linger       from now on it does not end though its guest has, nor when it is told to quit
 *   boast        the guest is off, and the engine says so again and again and does not go
 *   deaf         the power key means nothing to the guest
 *   refuse       it refuses to let the guest go (alone in the file)
 *   drop         the connections to the back ends are closed, as those of a program that is ending
 *   exit N       after a moment
 * Without the file: a guest that runs until its power key is pressed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOMENT_USECS 100000u
#define PAUSE_USECS  500000u /* longer than a line without an end is waited for */
#define FDS_MAX      256

static struct {
    int control;
    int uart;
    bool deaf;
    bool linger;
    bool refuse;
    bool flood;
    char script[4096];
} self = {.control = -1, .uart = -1};

static void control_say(const char *text)
{
    if (write(self.control, text, strlen(text)) < 0) {
        exit(1);
    }
}

static void end_guest(const char *reason)
{
    char text[128];
    (void)snprintf(text, sizeof(text),
                   "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"%s\"}}\r\n",
                   reason);
    control_say(text);
    if (!self.linger) {
        exit(0);
    }
}

/* Until the supervisor has had enough. */
static _Noreturn void boast(void)
{
    self.linger = true;
    for (;;) {
        end_guest("guest-shutdown");
        (void)usleep(MOMENT_USECS);
    }
}

/* Writes all of it, though the other side has no room now. */
static void uart_print(const char *text)
{
    char bytes[4096];
    size_t length = 0;
    for (; *text != '\0' && length < sizeof(bytes); text++) {
        bool escape = text[0] == '\\' && (text[1] == 'n' || text[1] == 'r' || text[1] == 'e');
        text += escape ? 1 : 0;
        if (!escape) {
            bytes[length] = *text;
        } else if (*text == 'e') {
            bytes[length] = '\033';
        } else {
            bytes[length] = *text == 'n' ? '\n' : '\r';
        }
        length++;
    }
    for (size_t at = 0; at < length;) {
        ssize_t count = write(self.uart, bytes + at, length - at);
        struct pollfd room = {.fd = self.uart, .events = POLLOUT};
        if (count < 0 && errno != EAGAIN) {
            exit(1);
        }
        at += count > 0 ? (size_t)count : 0u;
        (void)poll(&room, 1, -1);
    }
}

static void drop_backends(void)
{
    for (int fd = STDERR_FILENO + 1; fd < FDS_MAX; fd++) {
        if (fd != self.control && fd != self.uart) {
            (void)close(fd);
        }
    }
}

static void obey(const char *word)
{
    if (strncmp(word, "print ", 6) == 0) {
        uart_print(word + 6);
    } else if (strcmp(word, "pause") == 0) {
        (void)usleep(PAUSE_USECS);
    } else if (strcmp(word, "flood") == 0) {
        self.flood = true;
    } else if (strcmp(word, "off") == 0) {
        end_guest("guest-shutdown");
    } else if (strcmp(word, "reset") == 0) {
        end_guest("guest-reset");
    } else if (strcmp(word, "panic") == 0) {
        control_say("{\"event\": \"GUEST_PANICKED\", \"data\": {\"action\": \"shutdown\"}}\r\n");
        end_guest("guest-panic");
    } else if (strcmp(word, "linger") == 0) {
        self.linger = true;
    } else if (strcmp(word, "boast") == 0) {
        boast();
    } else if (strcmp(word, "deaf") == 0) {
        self.deaf = true;
    } else if (strcmp(word, "drop") == 0) {
        drop_backends();
    } else if (strncmp(word, "exit ", 5) == 0) {
        (void)usleep(MOMENT_USECS);
        exit((int)strtol(word + 5, NULL, 10));
    } else {
        (void)fprintf(stderr, "fake_qemu: no such word: %s\n", word);
        exit(1);
    }
}

static void run_script(void)
{
    char *rest = NULL;
    for (char *word = strtok_r(self.script, "\n", &rest); word != NULL;
         word = strtok_r(NULL, "\n", &rest)) {
        obey(word);
    }
}

static void take_command(const char *line)
{
    bool go = strstr(line, "\"cont\"") != NULL;
    if (self.refuse && go) {
        control_say("{\"error\": {\"class\": \"GenericError\", \"desc\": \"it will not\"}}\r\n");
        return;
    }
    control_say("{\"return\": {}}\r\n");
    if (go) {
        run_script();
    } else if (strstr(line, "system_powerdown") != NULL && !self.deaf) {
        uart_print("shutting down\\n");
        end_guest("guest-shutdown");
    } else if (strstr(line, "system_reset") != NULL) {
        uart_print("was reset\\n");
    } else if (strstr(line, "set-action") != NULL) {
        uart_print(strstr(line, "\"reboot\": \"reset\"") != NULL ? "may be reset\\n"
                                                                 : "may not be reset\\n");
    } else if (strstr(line, "quit") != NULL && !self.linger) {
        control_say("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": "
                    "\"host-qmp-quit\"}}\r\n");
        exit(0);
    }
}

static void read_control(void)
{
    static char text[8192];
    static size_t used;
    ssize_t got = read(self.control, text + used, sizeof(text) - 1u - used);
    if (got <= 0) {
        exit(0);
    }
    used += (size_t)got;
    text[used] = '\0';
    char *end;
    while ((end = strchr(text, '\n')) != NULL) {
        *end = '\0';
        take_command(text);
        used -= (size_t)(end + 1 - text);
        memmove(text, end + 1, used + 1u);
    }
}

static int fd_of(const char *argument)
{
    const char *at = strstr(argument, ",fd=");
    return at != NULL ? (int)strtol(at + 4, NULL, 10) : -1;
}

static void read_arguments(int count, char **arguments)
{
    char path[4096];
    for (int i = 1; i < count; i++) {
        if (strncmp(arguments[i], "socket,id=control,", 18) == 0) {
            self.control = fd_of(arguments[i]);
        } else if (strncmp(arguments[i], "socket,id=uart,", 15) == 0) {
            self.uart = fd_of(arguments[i]);
        } else if (strncmp(arguments[i], "guest=", 6) == 0) {
            (void)snprintf(path, sizeof(path), "%s.%s", arguments[0], arguments[i] + 6);
            FILE *file = fopen(path, "r");
            if (file != NULL) {
                size_t length = fread(self.script, 1, sizeof(self.script) - 1u, file);
                self.script[length] = '\0';
                self.refuse = strcmp(self.script, "refuse") == 0;
                (void)fclose(file);
            }
        }
    }
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--version") == 0) {
        (void)printf("QEMU emulator version 11.1.2 (a fake)\n");
        return 0;
    }
    read_arguments(count, arguments);
    if (self.control < 0 || self.uart < 0) {
        (void)fprintf(stderr, "fake_qemu: no control socket or UART\n");
        return 1;
    }
    control_say("{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 1, \"major\": 11}, "
                "\"package\": \"\"}, \"capabilities\": []}}\r\n");
    for (;;) {
        struct pollfd fds[] = {{.fd = self.control, .events = POLLIN},
                               {.fd = self.uart, .events = self.flood ? POLLOUT : 0}};
        (void)poll(fds, 2, -1);
        if (fds[0].revents != 0) {
            read_control();
        }
        if (self.flood && fds[1].revents != 0) {
            static uint64_t line;
            char text[64];
            int length = snprintf(text, sizeof(text), "flood %08ju\n", (uintmax_t)line);
            if (write(self.uart, text, (size_t)length) == length) {
                line++;
            }
        }
        if (fds[1].revents & (POLLHUP | POLLERR) && !self.linger) {
            return 0;
        }
    }
}
