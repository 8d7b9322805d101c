/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of an operation of the block model through io_uring: one submission at a time for each
 * operation, so that the rings (as deep as there may be operations) can never overflow. It checks
 * no limits: the model did. Opening and ending a disk: disk.c.
 *
 * The steps of an operation:
 *   MOVE     readv or writev of the guest's own memory; a short transfer goes on where it ended.
 *   PUNCH    fallocate: give the range back.     unsupported: ZERO, or ERASE for a discard
 *   ZERO     fallocate: zero the range.          unsupported: FILL
 *   FILL     write zeroes, a piece at a time.
 *   COMMIT   fdatasync: for a flush, and after PUNCH, ZERO or FILL when the result must be durable.
 *   ERASE    by ioctl, in pieces (disk_erase.c).
 */
#include "disk.h"

#include <errno.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"

_Static_assert(sizeof(struct bh_span) == sizeof(struct iovec),
               "spans go to the kernel as they are");
_Static_assert(offsetof(struct bh_span, base) == offsetof(struct iovec, iov_base), "the same");
_Static_assert(offsetof(struct bh_span, length) == offsetof(struct iovec, iov_len), "the same");

#define DISK_RETRY_USECS 10000u
#define DISK_TRIES_MAX   16u /* of one submission that the kernel interrupts */
#define DISK_FILL        65536u

/* Never written: all of it is the kernel's one page of zeroes. Aligned for direct I/O. */
static const uint8_t zeroes[DISK_FILL] __attribute__((aligned(4096)));

enum step { STEP_MOVE, STEP_PUNCH, STEP_ZERO, STEP_FILL, STEP_COMMIT, STEP_ERASE };

/* The disk's notes in an operation: bytes done, and step, tries and descriptor. */
struct notes {
    uint64_t done;
    uint8_t step;
    uint8_t tries;
    bool direct; /* through direct_fd */
    uint8_t unused[5];
};

_Static_assert(sizeof(struct notes) == sizeof(((struct bh_disk_io *)0)->host), "notes fit");

static struct notes *notes_of(struct bh_disk_io *io)
{
    return (struct notes *)io->host;
}

/* ------------------------------------------------------------------------------------------------
 * submissions */

/* fallocate on a block device wants whole blocks. */
static bool is_whole_blocks(const struct bh_disk *disk, const struct bh_disk_io *io)
{
    uint64_t mask = (uint64_t)disk->resource.block_size - 1u;
    return !disk->resource.is_device || ((io->offset | io->length) & mask) == 0u;
}

static void prepare_move(const struct bh_disk_io *io, struct io_uring_sqe *sqe, uint64_t done)
{
    const struct iovec *vector = (const struct iovec *)(const void *)io->spans;
    if (io->op == BH_DISK_OP_READ) {
        io_uring_prep_readv(sqe, 0, vector, io->span_count, io->offset + done);
    } else {
        io_uring_prep_writev2(sqe, 0, vector, io->span_count, io->offset + done,
                              io->durable ? RWF_DSYNC : 0);
    }
}

static void prepare_fill(const struct bh_disk_io *io, struct io_uring_sqe *sqe, uint64_t done)
{
    uint64_t left = io->length - done;
    io_uring_prep_write(sqe, 0, zeroes, left < DISK_FILL ? (unsigned int)left : DISK_FILL,
                        io->offset + done);
}

static void prepare_fallocate(const struct bh_disk_io *io, struct io_uring_sqe *sqe, int mode)
{
    io_uring_prep_fallocate(sqe, 0, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset,
                            (off_t)io->length);
}

/* Puts the operation's step into the submission queue. There is always room: it is as long as
 * there may be operations, and each has one entry. */
static void queue_step(struct bh_disk *disk, struct bh_disk_io *io, enum step step)
{
    struct notes *notes = notes_of(io);
    struct io_uring_sqe *sqe;
    if (notes->step != (uint8_t)step) {
        notes->step = (uint8_t)step;
        notes->tries = 0;
    }
    sqe = io_uring_get_sqe(&disk->ring);
    if (sqe == NULL) {
        bh_disk_end(disk, io, BH_IO);
        return;
    }
    switch (step) {
    case STEP_MOVE:
        prepare_move(io, sqe, notes->done);
        break;
    case STEP_PUNCH:
        prepare_fallocate(io, sqe, FALLOC_FL_PUNCH_HOLE);
        break;
    case STEP_ZERO:
        prepare_fallocate(io, sqe, FALLOC_FL_ZERO_RANGE);
        break;
    case STEP_FILL:
        prepare_fill(io, sqe, notes->done);
        break;
    case STEP_COMMIT:
    case STEP_ERASE:
    default:
        io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
        break;
    }
    sqe->fd = step == STEP_MOVE && notes->direct ? disk->resource.direct_fd : disk->resource.fd;
    io_uring_sqe_set_flags(sqe, disk->resource.may_block ? IOSQE_ASYNC : 0u);
    io_uring_sqe_set_data(sqe, io);
}

static void queue_discard(struct bh_disk *disk, struct bh_disk_io *io)
{
    if (disk->resource.punches && is_whole_blocks(disk, io)) {
        queue_step(disk, io, STEP_PUNCH);
    } else if (disk->resource.discards) {
        bh_disk_erase_begin(disk, io);
    } else {
        /* A part of a block cannot be given back. A discard is advice (VIRTIO 1.4, 5.2.6). */
        bh_disk_end(disk, io, disk->resource.punches ? BH_OK : BH_UNSUPPORTED);
    }
}

static void queue_zeroes(struct bh_disk *disk, struct bh_disk_io *io)
{
    bool whole = is_whole_blocks(disk, io);
    if (whole && io->unmap && disk->resource.punches) {
        queue_step(disk, io, STEP_PUNCH);
    } else if (whole && disk->zero_ranges) {
        queue_step(disk, io, STEP_ZERO);
    } else {
        queue_step(disk, io, STEP_FILL);
    }
}

/* Direct I/O wants offset, lengths and memory aligned; what is not goes through the page cache,
 * which the kernel keeps coherent with it. */
static bool can_be_direct(const struct bh_disk *disk, const struct bh_disk_io *io)
{
    uint64_t bits = io->offset;
    if (disk->resource.direct_fd < 0) {
        return false;
    }
    for (uint32_t i = 0; i < io->span_count; i++) {
        bits |= (uint64_t)(uintptr_t)io->spans[i].base | io->spans[i].length;
    }
    return (bits & ((uint64_t)disk->resource.direct_alignment - 1u)) == 0u;
}

/* Whether a change would reach beyond the end of a file that has shrunk: the kernel would make it
 * larger again, with zeroes where data was lost. Looked up once for each batch. */
static bool is_beyond_end(struct bh_disk *disk, const struct bh_disk_io *io)
{
    struct stat status;
    if (disk->resource.is_device || io->op == BH_DISK_OP_READ || io->op == BH_DISK_OP_FLUSH) {
        return false; /* the kernel says so itself */
    }
    if (!disk->size_fresh && fstat(disk->resource.fd, &status) == 0) {
        disk->size_now = (uint64_t)status.st_size; /* else what it was: the operation will tell */
        disk->size_fresh = true;
    }
    return io->offset > disk->size_now || io->length > disk->size_now - io->offset;
}

static int disk_submit(void *context, struct bh_disk_io *io)
{
    struct bh_disk *disk = context;
    if (disk->stopping || disk->in_flight >= disk->depth) {
        return BH_AGAIN;
    }
    disk->in_flight++;
    *notes_of(io) = (struct notes){.step = UINT8_MAX};
    if (is_beyond_end(disk, io)) {
        bh_disk_end(disk, io, BH_IO);
        return BH_OK;
    }
    switch (io->op) {
    case BH_DISK_OP_READ:
    case BH_DISK_OP_WRITE:
        notes_of(io)->direct = can_be_direct(disk, io);
        queue_step(disk, io, STEP_MOVE);
        break;
    case BH_DISK_OP_FLUSH:
        queue_step(disk, io, STEP_COMMIT);
        break;
    case BH_DISK_OP_DISCARD:
        queue_discard(disk, io);
        break;
    case BH_DISK_OP_WRITE_ZEROES:
        queue_zeroes(disk, io);
        break;
    case BH_DISK_OP_SECURE_ERASE:
    default:
        bh_disk_erase_begin(disk, io);
        break;
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * completions */

void bh_disk_end(struct bh_disk *disk, struct bh_disk_io *io, int result)
{
    disk->in_flight--;
    bh_blk_done(io, result);
    if (disk->stopping && disk->in_flight == 0u && disk->stopped != NULL) {
        disk->stopped(disk->context);
    }
}

/* Takes `count` bytes off the front of the spans. */
static void advance(struct bh_disk_io *io, uint64_t count)
{
    uint64_t left = count;
    while (io->span_count != 0u && left >= io->spans[0].length) {
        left -= io->spans[0].length;
        io->spans++;
        io->span_count--;
    }
    if (io->span_count != 0u) {
        io->spans[0].base += left;
        io->spans[0].length -= (size_t)left;
    }
}

static void after_transfer(struct bh_disk *disk, struct bh_disk_io *io, uint32_t count)
{
    struct notes *notes = notes_of(io);
    if (count == 0u) {
        bh_disk_end(disk, io, BH_IO); /* the end of the file: it has shrunk */
        return;
    }
    notes->done += count;
    notes->tries = 0;
    if (notes->done < io->length) {
        if (notes->step == STEP_MOVE) {
            advance(io, count);
            notes->direct = can_be_direct(disk, io);
        }
        queue_step(disk, io, (enum step)notes->step);
    } else if (notes->step == STEP_FILL && io->durable) {
        queue_step(disk, io, STEP_COMMIT);
    } else {
        bh_disk_end(disk, io, BH_OK);
    }
}

static void after_success(struct bh_disk *disk, struct bh_disk_io *io, uint32_t count)
{
    enum step step = (enum step)notes_of(io)->step;
    if (step == STEP_MOVE || step == STEP_FILL) {
        after_transfer(disk, io, count);
    } else if (step != STEP_COMMIT && io->op == BH_DISK_OP_WRITE_ZEROES && io->durable) {
        queue_step(disk, io, STEP_COMMIT);
    } else {
        bh_disk_end(disk, io, BH_OK);
    }
}

/* The next step when the file system or device cannot do this one; true: there is one. */
static bool go_round(struct bh_disk *disk, struct bh_disk_io *io)
{
    enum step step = (enum step)notes_of(io)->step;
    if (step == STEP_PUNCH && io->op == BH_DISK_OP_DISCARD && disk->resource.discards) {
        bh_disk_erase_begin(disk, io);
    } else if (step == STEP_PUNCH && io->op == BH_DISK_OP_WRITE_ZEROES) {
        queue_step(disk, io, disk->zero_ranges ? STEP_ZERO : STEP_FILL);
    } else if (step == STEP_ZERO) {
        disk->zero_ranges = false;
        queue_step(disk, io, STEP_FILL);
    } else {
        return false;
    }
    return true;
}

static void after_failure(struct bh_disk *disk, struct bh_disk_io *io, int number)
{
    struct notes *notes = notes_of(io);
    if ((number == EINTR || number == EAGAIN) && notes->tries < DISK_TRIES_MAX) {
        notes->tries++;
        queue_step(disk, io, (enum step)notes->step);
        return;
    }
    if (notes->step == STEP_MOVE && notes->direct && number == EINVAL) {
        notes->direct = false; /* stricter than it said */
        queue_step(disk, io, STEP_MOVE);
        return;
    }
    if (number == EOPNOTSUPP && go_round(disk, io)) {
        return;
    }
    bh_log_event(BH_LOG_WARNING, "disk operation %d at %ju, %ju bytes: errno %d", (int)io->op,
                 (uintmax_t)io->offset, (uintmax_t)io->length, number);
    bh_disk_end(disk, io, bh_error_from_errno(number));
}

/* Sends what is queued. The kernel may refuse for want of memory: then later. */
static void send_queued(struct bh_disk *disk)
{
    if (io_uring_sq_ready(&disk->ring) == 0u) {
        return;
    }
    int result = io_uring_submit(&disk->ring);
    if (result < 0) {
        bh_log_event(BH_LOG_WARNING, "io_uring takes nothing: errno %d", -result);
    }
    if (io_uring_sq_ready(&disk->ring) != 0u) {
        bh_timer_arm(&disk->retry, DISK_RETRY_USECS, 0);
    }
}

/* Takes the completions that are there now; those of what they start come later. */
static uint32_t reap(struct bh_disk *disk)
{
    uint32_t count = io_uring_cq_ready(&disk->ring);
    for (uint32_t i = 0; i < count; i++) {
        struct io_uring_cqe *cqe;
        if (io_uring_peek_cqe(&disk->ring, &cqe) != 0) {
            break;
        }
        struct bh_disk_io *io = io_uring_cqe_get_data(cqe);
        int result = cqe->res;
        io_uring_cqe_seen(&disk->ring, cqe);
        if (result < 0) {
            after_failure(disk, io, -result);
        } else {
            after_success(disk, io, (uint32_t)result);
        }
    }
    return count;
}

static void disk_commit(void *context)
{
    struct bh_disk *disk = context;
    disk->size_fresh = false;
    send_queued(disk);
    /* What the page cache could answer is there already: taking it now, the model's flush shows it
     * to the driver with what else it has. If the model lacked something that came free by it, no
     * other completion may come: so it is called once more. */
    if (reap(disk) != 0u) {
        disk->poller->ops->post(disk->poller, &disk->finish_task);
    }
    send_queued(disk);
}

void bh_disk_finish(struct bh_task *task)
{
    const struct bh_disk *disk = task->context;
    if (disk->finished != NULL) {
        disk->finished(disk->context);
    }
}

void bh_disk_ready(struct bh_watch *watch)
{
    struct bh_disk *disk = watch->context;
    uint32_t count = reap(disk);
    send_queued(disk);
    if (count != 0u && disk->finished != NULL) {
        disk->finished(disk->context);
    }
}

void bh_disk_retry(void *context)
{
    send_queued(context);
}

static int disk_lifetime(void *context, struct bh_blk_lifetime *lifetime)
{
    const struct bh_disk *disk = context;
    return bh_disk_wear_read(disk->resource.wear_fds, lifetime);
}

const struct bh_disk_ops bh_disk_file_ops = {
    .submit = disk_submit,
    .commit = disk_commit,
    .lifetime = disk_lifetime,
};
