/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A filter's page on both sides of a process boundary (host_filter.h). How a page is read when it
 * changes: core/filter.c, the counterpart of bh_filter_set.
 *
 * The seals are what makes the page the supervisor's: FUTURE_WRITE leaves the mapping that exists
 * the only one that can write; GROW and SHRINK spare the reader a size that changes, which would
 * end it (SIGBUS); SEAL keeps a holder from adding a seal that binds the writer.
 */
#include "bulkhead/host_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/host_error.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define SEALS (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------------------------------------
 * who writes */

static int memory_file(void)
{
    int fd = memfd_create("filter", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create("filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    return fd;
}

/* Mapped before it is sealed: later nobody can. */
static int map_and_seal(struct bh_filter_writer *writer)
{
    if (ftruncate(writer->fd, BH_FILTER_BYTES) != 0) {
        return bh_error_from_errno(errno);
    }
    void *page = mmap(NULL, BH_FILTER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, writer->fd, 0);
    if (page == MAP_FAILED) {
        return bh_error_from_errno(errno);
    }
    writer->page = page;
    if (fcntl(writer->fd, F_ADD_SEALS, SEALS) != 0) {
        return errno == EINVAL ? BH_UNSUPPORTED : bh_error_from_errno(errno);
    }
    return BH_OK;
}

int bh_filter_create(struct bh_filter_writer *writer)
{
    *writer = (struct bh_filter_writer){.fd = memory_file()};
    int result = writer->fd >= 0 ? map_and_seal(writer) : bh_error_from_errno(errno);
    if (result != BH_OK) {
        bh_filter_close(writer);
        return result;
    }
    store(&writer->page->magic, BH_FILTER_MAGIC);
    return BH_OK;
}

static int check(const struct bh_filter_range *ranges, uint32_t count)
{
    if (count > BH_FILTER_RANGES_MAX) {
        return BH_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].first > ranges[i].last || ranges[i].reserved != 0u) {
            return BH_INVALID;
        }
    }
    return BH_OK;
}

int bh_filter_set(struct bh_filter_writer *writer, uint32_t operations,
                  const struct bh_filter_range *ranges, uint32_t range_count)
{
    struct bh_filter_page *page = writer->page;
    uint32_t sequence = page->sequence;
    int result = check(ranges, range_count);
    if (result != BH_OK) {
        return result;
    }
    store(&page->sequence, sequence + 1u);
    /* No store below is seen before the sequence is odd. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    store(&page->operations, operations);
    for (uint32_t i = 0; i < range_count; i++) {
        store(&page->ranges[i].first, ranges[i].first);
        store(&page->ranges[i].last, ranges[i].last);
        store(&page->ranges[i].operations, ranges[i].operations);
        store(&page->ranges[i].reserved, 0);
    }
    store(&page->range_count, range_count);
    __atomic_store_n(&page->sequence, sequence + 2u, __ATOMIC_RELEASE);
    return BH_OK;
}

void bh_filter_close(struct bh_filter_writer *writer)
{
    if (writer->page != NULL) {
        (void)munmap(writer->page, BH_FILTER_BYTES);
    }
    if (writer->fd >= 0) {
        (void)close(writer->fd);
    }
    *writer = (struct bh_filter_writer){.fd = -1};
}

/* ------------------------------------------------------------------------------------------------
 * who reads */

int bh_filter_map(int fd, const struct bh_filter_page **page)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || fstat(fd, &status) != 0 || status.st_size != BH_FILTER_BYTES) {
        return BH_INVALID;
    }
    if ((seals & SEALS) != SEALS) {
        return BH_DENIED;
    }
    void *mapped = mmap(NULL, BH_FILTER_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        return bh_error_from_errno(errno);
    }
    const struct bh_filter_page *found = mapped;
    if (__atomic_load_n(&found->magic, __ATOMIC_RELAXED) != BH_FILTER_MAGIC) {
        (void)munmap(mapped, BH_FILTER_BYTES);
        return BH_UNSUPPORTED;
    }
    *page = found;
    return BH_OK;
}

void bh_filter_unmap(const struct bh_filter_page *page)
{
    if (page != NULL) {
        (void)munmap((void *)(uintptr_t)page, BH_FILTER_BYTES);
    }
}
