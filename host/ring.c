/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets up a restricted io_uring (ring.h). What is submitted to it is the disk's business. */
#include "ring.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"

/* Most kernel workers of the ring: for operations that would block, such as fdatasync. */
#define RING_WORKERS 8u

static const uint8_t ring_operations[] = {
    IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
};
#define RING_OPERATIONS (sizeof(ring_operations) / sizeof(ring_operations[0]))

/* Tries the cheaper ways of delivering completions first; older kernels lack them. */
static int ring_init(struct io_uring *ring, uint32_t depth)
{
    static const unsigned int flags[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
                                         IORING_SETUP_COOP_TASKRUN, 0};
    int result = -ENOSYS;
    for (uint32_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct io_uring_params parameters = {.flags = flags[i] | IORING_SETUP_R_DISABLED};
        result = io_uring_queue_init_params(depth, ring, &parameters);
        if (result != -EINVAL) {
            break;
        }
    }
    return result;
}

/* Two registrations for which liburing 2.3 declares functions that its shared library lacks. */
static int ring_register(const struct io_uring *ring, unsigned int what, void *argument,
                         uint32_t count)
{
    long result = syscall(SYS_io_uring_register, ring->ring_fd, what, argument, count);
    return result < 0 ? -errno : (int)result;
}

static int ring_restrict(const struct io_uring *ring)
{
    struct io_uring_restriction rules[RING_OPERATIONS + 1u] = {0};
    for (uint32_t i = 0; i < RING_OPERATIONS; i++) {
        rules[i].opcode = IORING_RESTRICTION_SQE_OP;
        rules[i].sqe_op = ring_operations[i];
    }
    rules[RING_OPERATIONS].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    rules[RING_OPERATIONS].sqe_flags = IOSQE_ASYNC;
    return ring_register(ring, IORING_REGISTER_RESTRICTIONS, rules, RING_OPERATIONS + 1u);
}

int bh_ring_open(struct io_uring *ring, uint32_t depth)
{
    unsigned int workers[2] = {RING_WORKERS, RING_WORKERS};
    int result = ring_init(ring, depth);
    if (result < 0) {
        bh_log(BH_LOG_ERROR, "io_uring is not available (errno %d)", -result);
        return result == -EPERM ? BH_UNSUPPORTED : bh_error_from_errno(-result);
    }
    result = ring_restrict(ring);
    if (result >= 0) {
        (void)io_uring_register_iowq_max_workers(ring, workers); /* kernels before 5.15 have none */
        result = ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    }
    if (result < 0) {
        bh_log(BH_LOG_ERROR, "io_uring cannot be restricted (errno %d)", -result);
        io_uring_queue_exit(ring);
        return result == -EINVAL ? BH_UNSUPPORTED : bh_error_from_errno(-result);
    }
    return BH_OK;
}
