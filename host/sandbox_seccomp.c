/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls that a closed back end may make. A list of names; where a call can do harm with
 * other arguments, the argument is held fast too. Everything else ends the process.
 *
 * What the names are for: the loop (epoll, signalfd, timerfd), vhost-user (accept4, recvmsg with
 * descriptors, sendmsg, eventfds, memory files mapped shared, the in-flight file), disks (io_uring),
 * the log, the service manager, the C library's allocator, and a signal handler for memory that was
 * taken away.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandbox.h"

/* Calls that are harmless with any arguments here: they reach only what is open already. */
static const char *const allowed[] = {
    "accept4",
    "brk",
    "clock_gettime",
    "clock_gettime64",
    "close",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_wait",
    "exit",
    "exit_group",
    "fstat",
    "fstat64",
    "ftruncate",
    "ftruncate64",
    "futex",
    "futex_time64",
    "getpid",
    "getrandom",
    "gettid",
    "getsockopt",
    "io_uring_enter",
    "madvise",
    "memfd_create",
    "mremap",
    "munmap",
    "poll",
    "ppoll",
    "ppoll_time64",
    "pread64",
    "preadv2",
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "restart_syscall",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "send",
    "sendmsg",
    "sendto",
    "shutdown",
    "sigaltstack",
    "sigreturn",
    "timerfd_settime",
    "timerfd_settime64",
    "write",
    "writev",
};

/* fcntl: only what looks at descriptors, seals files, or locks what is open (a disk that stands by). */
static const int fcntl_commands[] = {
    F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS, F_ADD_SEALS, F_OFD_SETLK,
};

/* Adds an allow rule with up to one condition on an argument. A name that this processor does not
 * have is no fault. */
static int allow(scmp_filter_ctx filter, const char *name, unsigned int count,
                 const struct scmp_arg_cmp *condition)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) {
        return 0;
    }
    int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, count, condition);
    /* -EDOM: the name exists on other processors only. */
    return result == -EDOM ? 0 : result;
}

static int allow_names(scmp_filter_ctx filter, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int result = allow(filter, names[i], 0, NULL);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* Memory may be mapped, but not to be executed. */
static int allow_mapping(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp plain = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    int result = allow(filter, "mmap", 1, &plain);
    return result != 0 ? result : allow(filter, "mmap2", 1, &plain);
}

/* Signals stay within the process. */
static int allow_signals(scmp_filter_ctx filter, const struct bh_sandbox_setup *setup)
{
    const struct scmp_arg_cmp own = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
    return setup->thread_count != 0u ? allow(filter, "tgkill", 1, &own) : 0;
}

/* The C library asks for a descriptor's status by a path call with an empty path. */
static int allow_status(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp by_fd = SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH, 0);
    int result = allow(filter, "newfstatat", 1, &by_fd);
    return result != 0 ? result : allow(filter, "fstatat64", 1, &by_fd);
}

static int allow_commands(scmp_filter_ctx filter, const struct bh_sandbox_setup *setup)
{
    for (size_t i = 0; i < sizeof(fcntl_commands) / sizeof(fcntl_commands[0]); i++) {
        const struct scmp_arg_cmp is = SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)fcntl_commands[i], 0);
        int result = allow(filter, "fcntl", 1, &is);
        result = result != 0 ? result : allow(filter, "fcntl64", 1, &is);
        if (result != 0) {
            return result;
        }
    }
    for (uint32_t i = 0; i < setup->request_count; i++) {
        const struct scmp_arg_cmp is = SCMP_A1(SCMP_CMP_EQ, setup->requests[i], 0);
        int result = allow(filter, "ioctl", 1, &is);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

int bh_layer_seccomp(const struct bh_sandbox_setup *setup)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL) {
        return ENOMEM;
    }
    int result = allow_names(filter, allowed, sizeof(allowed) / sizeof(allowed[0]));
    result = result != 0 ? result : allow_names(filter, setup->calls, setup->call_count);
    /* For all threads or none: one without would be the way out for the others. */
    result = result != 0 ? result : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    result = result != 0 ? result : allow_mapping(filter);
    result = result != 0 ? result : allow_signals(filter, setup);
    result = result != 0 ? result : allow_status(filter);
    result = result != 0 ? result : allow_commands(filter, setup);
    if (result == 0) {
        result = seccomp_load(filter);
    }
    seccomp_release(filter);
    return result == -ECANCELED ? errno : -result;
}
