/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where random bytes come from on Linux. The kernel's generator is asked when bytes are needed. A
 * device is read ahead by one small buffer: its driver may take its time, whatever O_NONBLOCK says,
 * so the read is done by a worker of the kernel's (io_uring) and the loop never waits for it.
 *
 * The states of a source:
 *   idle      nothing is asked of it.
 *             bh_entropy_read, of the generator -> stays, or pausing (it is not seeded yet);
 *             of a device -> reading
 *   reading   a read is under way.
 *             bytes -> full; the end, or an error -> pausing
 *   full      the buffer has bytes.
 *             bh_entropy_read takes the last -> idle
 *   pausing   it failed.
 *             the timer -> idle, and whoever waits is called and asks again
 */
#include "bulkhead/host_entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/major.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_loop.h"
#include "bulkhead/host_path.h"
#include "ring.h"

#define BUFFER      256u
#define PAUSE_USECS 200000u
#define RANDOM_MINOR                                                                               \
    8u /* of /dev/random; the others of its kind are memory, zeroes, or do not wait */
#define GENERATOR "the kernel's generator"

enum entropy_state { ENTROPY_IDLE, ENTROPY_READING, ENTROPY_FULL, ENTROPY_PAUSING };

struct bh_entropy {
    enum entropy_state state;
    bool failing; /* it said so in the log, and has given nothing since */
    const char *name;
    struct bh_poller *poller;
    void (*ready)(void *context);
    void *context;
    struct bh_timer pause;
    int fd; /* -1: the kernel's generator, and what follows is not used */
    struct io_uring ring;
    struct bh_watch watch;
    struct iovec vector;
    uint32_t count; /* bytes in the buffer */
    uint8_t buffer[BUFFER];
    struct bh_entropy
        *next; /* of those that were destroyed while the kernel could still write here */
};

static struct bh_entropy *left_behind;

/* ------------------------------------------------------------------------------------------------
 * opening */

static int report(const char *path, const char *what, int number)
{
    bh_log(BH_LOG_ERROR, "%s: %s: %s", path, what, strerror(number));
    return bh_error_from_errno(number);
}

const char *bh_entropy_objection(const struct stat *status)
{
    if (S_ISREG(status->st_mode) || S_ISBLK(status->st_mode)) {
        return "would give the same bytes again";
    }
    if (S_ISCHR(status->st_mode)) {
        bool is_memory = major(status->st_rdev) == MEM_MAJOR;
        return is_memory && minor(status->st_rdev) != RANDOM_MINOR
                   ? "is no source that waits for its seed"
                   : NULL;
    }
    return S_ISFIFO(status->st_mode) || S_ISSOCK(status->st_mode) ? NULL : "gives no bytes";
}

static int check_kind(const char *path, const struct stat *status)
{
    const char *why = bh_entropy_objection(status);
    if (why != NULL) {
        bh_log(BH_LOG_ERROR, "%s: %s", path, why);
        return BH_INVALID;
    }
    return BH_OK;
}

/* The kind is looked at before: opening some devices has effects. */
static int open_path(const char *path, int *fd)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return report(path, "cannot be opened", errno);
    }
    int result = check_kind(path, &status);
    if (result != BH_OK) {
        return result;
    }
    /* Without O_NONBLOCK a pipe's open waits for a writer. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return *fd >= 0 ? BH_OK : report(path, "cannot be opened", errno);
}

static int open_source(const char *path, int *fd)
{
    struct stat status;
    int number = bh_path_fd(path);
    *fd = number >= 0 ? number : -1;
    if (number < 0) {
        int result =
            number == BH_INVALID ? report(path, "cannot be used", EBADF) : open_path(path, fd);
        if (result != BH_OK) {
            return result;
        }
    }
    int flags = fcntl(*fd, F_GETFL);
    if (flags < 0 || fstat(*fd, &status) != 0) {
        return report(path, "cannot be used", errno);
    }
    int result = check_kind(path, &status);
    if (result == BH_OK && (flags & O_ACCMODE) == O_WRONLY) {
        bh_log(BH_LOG_ERROR, "%s: is not open for reading", path);
        result = BH_DENIED;
    }
    /* A worker is to wait for bytes, and not to hear that there are none. */
    if (result == BH_OK &&
        (fcntl(*fd, F_SETFL, flags & ~O_NONBLOCK) != 0 || fcntl(*fd, F_SETFD, FD_CLOEXEC) != 0)) {
        result = report(path, "cannot be used", errno);
    }
    return result;
}

/* Whether there is such a call at all. That it is not seeded yet is no fault: it will be. */
static int check_generator(void)
{
    uint8_t byte;
    if (getrandom(&byte, sizeof(byte), GRND_NONBLOCK) < 0 && errno != EAGAIN) {
        bh_log(BH_LOG_ERROR, GENERATOR ": %s", strerror(errno));
        return BH_UNSUPPORTED;
    }
    return BH_OK;
}

static void entropy_readable(struct bh_watch *watch);

static int open_ring(struct bh_entropy *entropy)
{
    int result = bh_ring_open(&entropy->ring, 1);
    if (result != BH_OK) {
        return result;
    }
    entropy->watch = (struct bh_watch){
        .fd = entropy->ring.ring_fd, .ready = entropy_readable, .context = entropy};
    result = entropy->poller->ops->add(entropy->poller, &entropy->watch);
    if (result != BH_OK) {
        io_uring_queue_exit(&entropy->ring);
    }
    return result;
}

static int open_device(struct bh_entropy *entropy, const char *path)
{
    int result = open_source(path, &entropy->fd);
    if (result == BH_OK) {
        result = open_ring(entropy);
    }
    if (result != BH_OK && entropy->fd >= 0) {
        (void)close(entropy->fd);
    }
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * reading */

/* Recorded once for each time that it begins to fail. */
static void fail(struct bh_entropy *entropy, const char *why)
{
    entropy->state = ENTROPY_PAUSING;
    bh_timer_arm(&entropy->pause, PAUSE_USECS, 0);
    if (!entropy->failing) {
        entropy->failing = true;
        bh_log_event(BH_LOG_WARNING, "%s gives nothing, the guest waits: %s", entropy->name, why);
    }
}

static void recovered(struct bh_entropy *entropy)
{
    if (entropy->failing) {
        entropy->failing = false;
        bh_log_event(BH_LOG_NOTICE, "%s gives bytes again", entropy->name);
    }
}

static void pause_over(void *context)
{
    struct bh_entropy *entropy = context;
    entropy->state = ENTROPY_IDLE;
    entropy->ready(entropy->context);
}

static int ask_generator(struct bh_entropy *entropy, uint8_t *to, uint32_t length)
{
    ssize_t got = getrandom(to, length, GRND_NONBLOCK);
    if (got <= 0) {
        fail(entropy, got < 0 && errno != EAGAIN ? strerror(errno) : "it is not seeded yet");
        return BH_AGAIN;
    }
    recovered(entropy);
    return (int)got;
}

static void queue_read(struct bh_entropy *entropy)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&entropy->ring);
    if (sqe != NULL) {
        entropy->vector = (struct iovec){.iov_base = entropy->buffer, .iov_len = BUFFER};
        io_uring_prep_readv(sqe, entropy->fd, &entropy->vector, 1, (uint64_t)-1);
        io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
    }
}

/* A read that the kernel did not take stays queued, and is offered again after the pause. */
static void begin_read(struct bh_entropy *entropy)
{
    if (io_uring_sq_ready(&entropy->ring) == 0u) {
        queue_read(entropy);
    }
    int taken = io_uring_submit(&entropy->ring);
    if (taken == 1) {
        entropy->state = ENTROPY_READING;
    } else {
        fail(entropy, taken < 0 ? strerror(-taken) : "the kernel takes no read");
    }
}

static void entropy_readable(struct bh_watch *watch)
{
    struct bh_entropy *entropy = watch->context;
    struct io_uring_cqe *cqe;
    if (io_uring_peek_cqe(&entropy->ring, &cqe) != 0) {
        return;
    }
    int result = cqe->res;
    io_uring_cqe_seen(&entropy->ring, cqe);
    if (result <= 0) {
        fail(entropy, result < 0 ? strerror(-result) : "it has ended");
        return;
    }
    recovered(entropy);
    entropy->count = (uint32_t)result;
    entropy->state = ENTROPY_FULL;
    entropy->ready(entropy->context);
}

/* From the end, and wiped: no byte is there twice. */
static int take(struct bh_entropy *entropy, uint8_t *to, uint32_t length)
{
    uint32_t count = length < entropy->count ? length : entropy->count;
    entropy->count -= count;
    memcpy(to, entropy->buffer + entropy->count, count);
    explicit_bzero(entropy->buffer + entropy->count, count);
    if (entropy->count == 0u) {
        entropy->state = ENTROPY_IDLE;
    }
    return (int)count;
}

int bh_entropy_read(struct bh_entropy *entropy, uint8_t *to, uint32_t length)
{
    if (entropy->state == ENTROPY_FULL) {
        return take(entropy, to, length);
    }
    if (entropy->state == ENTROPY_IDLE) {
        if (entropy->fd < 0) {
            return ask_generator(entropy, to, length);
        }
        begin_read(entropy);
    }
    return BH_AGAIN;
}

/* ------------------------------------------------------------------------------------------------
 * life */

static int open_any(struct bh_entropy *entropy, const struct bh_entropy_setup *setup)
{
    int result = setup->path == NULL ? check_generator() : open_device(entropy, setup->path);
    if (result != BH_OK) {
        return result;
    }
    result = bh_timer_init(&entropy->pause, setup->poller, pause_over, entropy);
    if (result != BH_OK && entropy->fd >= 0) {
        setup->poller->ops->remove(setup->poller, &entropy->watch);
        io_uring_queue_exit(&entropy->ring);
        (void)close(entropy->fd);
    }
    return result;
}

int bh_entropy_create(struct bh_entropy **entropy, const struct bh_entropy_setup *setup)
{
    struct bh_entropy *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return BH_NO_MEMORY;
    }
    made->fd = -1;
    made->name = setup->path != NULL ? setup->path : GENERATOR;
    made->poller = setup->poller;
    made->ready = setup->ready;
    made->context = setup->context;
    int result = open_any(made, setup);
    if (result != BH_OK) {
        free(made);
        return result;
    }
    bh_log(BH_LOG_NOTICE, "random bytes come from %s", made->name);
    *entropy = made;
    return BH_OK;
}

void bh_entropy_destroy(struct bh_entropy *entropy)
{
    if (entropy == NULL) {
        return;
    }
    bh_timer_finish(&entropy->pause);
    if (entropy->fd >= 0) {
        entropy->poller->ops->remove(entropy->poller, &entropy->watch);
        io_uring_queue_exit(&entropy->ring);
        (void)close(entropy->fd);
        if (entropy->state == ENTROPY_READING) {
            /* The kernel may still write to the buffer: it stays until the process ends. */
            entropy->next = left_behind;
            left_behind = entropy;
            return;
        }
    }
    explicit_bzero(entropy, sizeof(*entropy));
    free(entropy);
}
