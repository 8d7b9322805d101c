/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing a file of a build that is not platform/'s. Private to cli/. */
#ifndef BULKHEAD_CLI_BUILD_FILE_H
#define BULKHEAD_CLI_BUILD_FILE_H

#include <stdbool.h>

/* Writes `text` beside its place and moves it there. False: it cannot be, and that was said. */
bool bh_cli_build_file(const char *folder, const char *name, const char *ending, const char *text);

#endif
