/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw mode and back. It knows nothing of what goes over the terminal.
 */
#include "terminal.h"

#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct {
    struct termios before;
    int fd;
    volatile sig_atomic_t raw;
} self;

void bh_cli_terminal_restore(void)
{
    if (self.raw != 0) {
        self.raw = 0;
        (void)tcsetattr(self.fd, TCSANOW, &self.before); /* a terminal that is gone needs none */
    }
}

/* Puts the terminal back, then lets the signal do what it does: SA_RESETHAND has seen to it. It
 * runs in a signal handler, so that a write which hangs does not keep it waiting. */
static void ending(int number)
{
    bh_cli_terminal_restore();
    (void)raise(number);
}

bool bh_cli_terminal_raw(int fd)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = ending, .sa_flags = (int)SA_RESETHAND};
    struct termios raw;
    (void)sigemptyset(&action.sa_mask);
    if (tcgetattr(fd, &self.before) != 0) {
        return false;
    }
    self.fd = fd;
    self.raw = 1;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigaction(numbers[i], &action, NULL); /* fails for unknown numbers only */
    }
    raw = self.before;
    cfmakeraw(&raw);
    if (tcsetattr(fd, TCSANOW, &raw) != 0) {
        bh_cli_terminal_restore();
        return false;
    }
    return true;
}

bool bh_cli_terminal_size(int fd, uint16_t *rows, uint16_t *columns)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
        return false;
    }
    *rows = size.ws_row;
    *columns = size.ws_col;
    return true;
}
