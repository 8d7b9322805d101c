/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Closes the sandbox, layer by layer, and reports. Here: descriptors, limits, Landlock,
 * capabilities. Identity, namespaces and root: sandbox_namespaces.c; the system calls:
 * sandbox_seccomp.c.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bulkhead/host_log.h"
#include "landlock.h"

/* In a user namespace of its own the process counts alone: itself, its threads and io_uring's workers. */
#define PROCESS_LIMIT 64u

/* ------------------------------------------------------------------------------------------------
 * descriptors */

static int compare_fds(const void *left, const void *right)
{
    int a = *(const int *)left;
    int b = *(const int *)right;
    return (a > b) - (a < b);
}

static int close_between(unsigned int first, unsigned int last)
{
    if (first > last) {
        return 0;
    }
    return syscall(SYS_close_range, first, last, 0u) == 0 ? 0 : errno;
}

/* Closes all but the sorted `fds` and standard error. */
static int close_others(const int *fds, uint32_t count)
{
    unsigned int next = STDERR_FILENO + 1;
    for (uint32_t i = 0; i < count; i++) {
        unsigned int fd = (unsigned int)fds[i];
        if (fd < next) {
            continue; /* standard, or listed twice */
        }
        int number = close_between(next, fd - 1u);
        if (number != 0) {
            return number;
        }
        next = fd + 1u;
    }
    return close_between(next, ~0u);
}

static int null_standard(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0) {
        return errno;
    }
    if (fd > STDERR_FILENO) {
        (void)close(fd);
    }
    return 0;
}

/* What bh_sandbox_descriptors came to: an errno; at first, that it was never called. */
static int descriptors_result = ENOENT;

int bh_sandbox_descriptors(const int *fds, uint32_t count)
{
    int *sorted = calloc((size_t)count + 1u, sizeof(*sorted));
    if (sorted == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (fds[i] < 0 || fcntl(fds[i], F_GETFD) < 0) {
            free(sorted);
            return BH_INVALID;
        }
        sorted[i] = fds[i];
    }
    qsort(sorted, count, sizeof(*sorted), compare_fds);
    descriptors_result = close_others(sorted, count);
    free(sorted);
    return descriptors_result == 0 ? BH_OK : BH_UNSUPPORTED;
}

/* ------------------------------------------------------------------------------------------------
 * limits */

/* A limit that was lower stays: only root could raise it, and it is the stricter one. */
static int set_limit(__rlimit_resource_t resource, rlim_t most)
{
    struct rlimit before;
    if (getrlimit(resource, &before) != 0) {
        return errno;
    }
    const rlim_t wanted = before.rlim_max < most ? before.rlim_max : most;
    const struct rlimit limit = {.rlim_cur = wanted, .rlim_max = wanted};
    return setrlimit(resource, &limit) == 0 ? 0 : errno;
}

/* RLIMIT_FSIZE would end the process for a write at the wrong place, RLIMIT_AS would forbid guest
 * memory: neither is set. `alone`: the process is in a user namespace of its own; elsewhere the
 * process limit would count other programs of the same user. */
static int layer_limits(const struct bh_sandbox_setup *setup, bool alone)
{
    int number = set_limit(RLIMIT_CORE, 0);
    int other = set_limit(RLIMIT_NOFILE, setup->fd_limit);
    number = number != 0 ? number : other;
    other = set_limit(RLIMIT_MSGQUEUE, 0);
    number = number != 0 ? number : other;
    if (alone) {
        other = set_limit(RLIMIT_NPROC, PROCESS_LIMIT + setup->thread_count);
        number = number != 0 ? number : other;
    }
    return number;
}

/* ------------------------------------------------------------------------------------------------
 * Landlock */

static int layer_landlock(int *abi)
{
    int found = 0;
    int fd = bh_landlock_create(&found);
    if (fd < 0) {
        return errno;
    }
    int number = syscall(SYS_landlock_restrict_self, fd, 0u) == 0 ? 0 : errno;
    (void)close(fd);
    *abi = number == 0 ? found : 0;
    return number;
}

/* ------------------------------------------------------------------------------------------------
 * capabilities */

static int drop_bounding(void)
{
    for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0) {
            return errno;
        }
    }
    return 0;
}

static int layer_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    const struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    int number = drop_bounding();
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* none to clear: an error */
    if (syscall(SYS_capset, &header, none) != 0) {
        return errno;
    }
    /* Not even its own kind may look into it or stop it: others may share its user. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return errno;
    }
    return number;
}

/* ------------------------------------------------------------------------------------------------
 * all together */

/* A change of identity makes the kernel forget that this process is to end with its starter, and
 * one that hangs would not see its socket close. */
static int starter_signal(void)
{
    int number = 0;
    return prctl(PR_GET_PDEATHSIG, &number, 0, 0, 0) == 0 ? number : 0;
}

static void follow_starter(int number)
{
    if (number != 0) {
        (void)prctl(PR_SET_PDEATHSIG, number, 0, 0, 0); /* a valid signal: it cannot fail */
    }
}

const char *bh_sandbox_layer_name(enum bh_sandbox_layer layer)
{
    static const char *const names[BH_LAYER_COUNT] = {
        [BH_LAYER_DESCRIPTORS] = "descriptors",
        [BH_LAYER_IDENTITY] = "identity",
        [BH_LAYER_NAMESPACES] = "namespaces",
        [BH_LAYER_ROOT] = "root",
        [BH_LAYER_LIMITS] = "limits",
        [BH_LAYER_LANDLOCK] = "landlock",
        [BH_LAYER_CAPABILITIES] = "capabilities",
        [BH_LAYER_SECCOMP] = "seccomp",
    };
    return (unsigned int)layer < BH_LAYER_COUNT ? names[layer] : "unknown";
}

static bool log_report(const struct bh_sandbox_report *report)
{
    char on[128] = "";
    char off[256] = "";
    for (unsigned int i = 0; i < BH_LAYER_COUNT; i++) {
        const char *name = bh_sandbox_layer_name((enum bh_sandbox_layer)i);
        char *to = report->failed[i] == 0 ? on : off;
        size_t room = report->failed[i] == 0 ? sizeof(on) : sizeof(off);
        size_t used = strlen(to);
        if (report->failed[i] == 0) {
            (void)snprintf(to + used, room - used, " %s", name);
        } else {
            (void)snprintf(to + used, room - used, " %s (%s)", name, strerror(report->failed[i]));
        }
    }
    if (off[0] == '\0') {
        bh_log(BH_LOG_NOTICE, "sandbox closed:%s", on);
        return true;
    }
    bh_log(BH_LOG_WARNING, "sandbox closed:%s; NOT closed:%s", on, off);
    return false;
}

static int make_threads(const struct bh_sandbox_setup *setup)
{
    return setup->threads != NULL ? setup->threads(setup->context) : BH_OK;
}

int bh_sandbox_close(const struct bh_sandbox_setup *setup, struct bh_sandbox_report *report)
{
    *report = (struct bh_sandbox_report){.landlock_abi = 0};
    if (setup->mode == BH_SANDBOX_OFF) {
        bh_log(BH_LOG_WARNING, "sandbox is off");
        return make_threads(setup);
    }
    int *failed = report->failed;
    const int with_starter = starter_signal();
    int number = null_standard();
    failed[BH_LAYER_DESCRIPTORS] = descriptors_result != 0 ? descriptors_result : number;
    failed[BH_LAYER_IDENTITY] = bh_layer_identity();
    failed[BH_LAYER_NAMESPACES] = bh_layer_namespaces();
    failed[BH_LAYER_ROOT] = bh_layer_root();
    failed[BH_LAYER_LIMITS] = layer_limits(setup, failed[BH_LAYER_NAMESPACES] == 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return BH_UNSUPPORTED; /* older than anything that this runs on */
    }
    failed[BH_LAYER_LANDLOCK] = layer_landlock(&report->landlock_abi);
    failed[BH_LAYER_CAPABILITIES] = layer_capabilities();
    follow_starter(with_starter);
    const int result = make_threads(setup);
    if (result != BH_OK) {
        return result;
    }
    failed[BH_LAYER_SECCOMP] = bh_layer_seccomp(setup);
    (void)malloc_trim(0); /* what making the filter took */
    bool whole = log_report(report);
    return whole || setup->mode != BH_SANDBOX_STRICT ? BH_OK : BH_UNSUPPORTED;
}
