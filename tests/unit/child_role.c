/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a child of test_child.c says about itself: descriptors, state, namespaces, environment, what
 * it can open. Not a test.
 */
#include "child_role.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/host_loop.h"

#define FDS_LOOKED_AT 1024

/* Every open descriptor with what the test wrote into its file. */
static int tell_descriptors(void)
{
    for (int fd = 0; fd < FDS_LOOKED_AT; fd++) {
        char text[16] = "";
        struct stat info;
        if (fstat(fd, &info) != 0) {
            continue;
        }
        if (S_ISREG(info.st_mode) && pread(fd, text, sizeof(text) - 1u, 0) < 0) {
            return 1;
        }
        (void)printf("%d=%s;", fd, S_ISCHR(info.st_mode) ? "null" : text);
    }
    return 0;
}

static int tell_state(void)
{
    struct rlimit core;
    int death = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    if (status == NULL || getrlimit(RLIMIT_CORE, &core) != 0 ||
        prctl(PR_GET_PDEATHSIG, &death) != 0) {
        return 1;
    }
    while (fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, "SigBlk:", 7) == 0 || strncmp(line, "SigIgn:", 7) == 0) {
            (void)printf("%.7s%llx ", line, strtoull(line + 7, NULL, 16));
        }
    }
    (void)fclose(status);
    (void)printf("core:%llu death:%d leads:%d", (unsigned long long)core.rlim_max, death,
                 getsid(0) == getpid());
    return 0;
}

static int tell_names(void)
{
    char line[256];
    int interfaces = -2; /* two lines of headings */
    FILE *devices = fopen("/proc/self/net/dev", "re");
    if (devices == NULL) {
        return 1;
    }
    while (fgets(line, sizeof(line), devices) != NULL) {
        interfaces++;
    }
    (void)fclose(devices);
    (void)printf("pid:%d user:%u group:%u interfaces:%d", (int)getpid(), getuid(), getgid(),
                 interfaces);
    return 0;
}

static int tell_processors(void)
{
    cpu_set_t cpus;
    int first = 0;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) {
        return 1;
    }
    while (first < CPU_SETSIZE && !CPU_ISSET((size_t)first, &cpus)) {
        first++;
    }
    (void)printf("%d of them: %d", CPU_COUNT(&cpus), first);
    return 0;
}

static int tell_environment(void)
{
    for (char *const *each = environ; *each != NULL; each++) {
        (void)printf("%s\n", *each);
    }
    return 0;
}

static void tell_open(const char *name, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    (void)printf("%s:%s ", name, fd >= 0 ? "yes" : strerrorname_np(errno));
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* In the folder that is its working directory. */
static int tell_reach(void)
{
    char given[32];
    (void)snprintf(given, sizeof(given), "/proc/self/fd/%d", REACH_GIVEN);
    tell_open("inside", "inside/file", O_RDONLY);
    tell_open("written", "inside/file", O_WRONLY);
    tell_open("device", "device", O_RDWR);
    tell_open("outside", "outside", O_RDONLY);
    tell_open("given", given, O_RDONLY);
    tell_open("given-written", given, O_WRONLY);
    tell_open("null", "/dev/null", O_RDWR);
    (void)printf("made:%s ", mkdir("inside/new", 0700) == 0 ? "yes" : strerrorname_np(errno));
    (void)printf("removed:%s ", unlink("inside/file") == 0 ? "yes" : strerrorname_np(errno));
    (void)printf("rights:%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    return 0;
}

static void end_received(void *context, int number)
{
    (void)number;
    bh_loop_stop(context);
}

/* Ends in order when told to, as daemons do: they listen through a descriptor. */
static int wait_for_end(void)
{
    static const int numbers[] = {SIGTERM};
    struct bh_loop own;
    struct bh_signals signals;
    if (bh_loop_init(&own) != BH_OK ||
        bh_signals_init(&signals, &own.poller, numbers, 1, end_received, &own) != BH_OK) {
        return 1;
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)printf("ready");
    (void)fflush(stdout);
    return bh_loop_run(&own) == BH_OK ? 7 : 1;
}

int child_role_play(const char *role)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } parts[] = {{"descriptors", tell_descriptors},
                 {"state", tell_state},
                 {"names", tell_names},
                 {"processors", tell_processors},
                 {"environment", tell_environment},
                 {"reach", tell_reach},
                 {"wait", wait_for_end}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(role, parts[i].name) == 0) {
            return parts[i].run();
        }
    }
    return 3;
}
