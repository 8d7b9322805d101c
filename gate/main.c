/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-gate: the keeper, or with --control the gate that a parent (the keeper, or bulkhead run)
 * started. */
#include <string.h>
#include <sys/prctl.h>

#include "bulkhead/host_log.h"
#include "inner.h"
#include "keeper.h"

/* A sanitizer's leak check at the end traces the process from another one, and the sandbox forbids
 * both. Only builds with the sanitizer call this. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(int argc, char **argv)
{
    bh_log_open("bulkhead-gate", BH_LOG_NOTICE);
    if (argc >= 2 && strcmp(argv[1], "--control") == 0) {
        (void)prctl(PR_SET_NAME, "bulkhead-gate"); /* not "exe", as the keeper starts it */
        return bh_inner_main(argc - 2, argv + 2);
    }
    return bh_keeper_main(argc, argv);
}
