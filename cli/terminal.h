/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user's terminal: raw while something else is on it, and as it was afterwards, however the
 * program ends. Private to cli/.
 */
#ifndef BULKHEAD_CLI_TERMINAL_H
#define BULKHEAD_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* Makes the terminal raw: every key is a byte, nothing is shown by itself. From then on the signals
 * that end a program put it back first (SIGKILL cannot be helped). False: `fd` is no terminal that
 * can be. Once in a program. */
bool bh_cli_terminal_raw(int fd);
/* Puts it back. Not raw: nothing. */
void bh_cli_terminal_restore(void);

/* Its size; false: it has none. */
bool bh_cli_terminal_size(int fd, uint16_t *rows, uint16_t *columns);

#endif
