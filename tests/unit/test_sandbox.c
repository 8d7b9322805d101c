/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sandbox: a process closes it and then tries, one by one, what it must not be able to do, and
 * what it must still be able to do. Each try is a process of its own, because the forbidden ones end
 * it. What the daemons look like from outside: tests/daemon/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulkhead/host_disk.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_sandbox.h"
#include "host/ring.h"

/* The test links host/, which reports disk operations. None takes place. */
void bh_blk_done(struct bh_disk_io *io, int result)
{
    (void)io;
    (void)result;
    abort();
}

/* What a child reports by its exit status. */
enum { DID = 0, DID_NOT = 1, NO_SANDBOX = 2 };

static int pair[2]; /* a socket to the parent */
static uint8_t page[4096] __attribute__((aligned(4096)));
static struct io_uring ring; /* a child's */
static int image = -1;

static bool close_sandbox(enum bh_sandbox_mode mode)
{
    struct bh_sandbox_report report;
    const unsigned long requests[] = {BLKGETSIZE64};
    const struct bh_sandbox_setup setup = {
        .mode = mode, .fd_limit = 64, .requests = requests, .request_count = 1};
    const int keep[] = {pair[1], image};
    if (bh_sandbox_descriptors(keep, 2) != BH_OK || bh_ring_open(&ring, 4) != BH_OK) {
        return false;
    }
    return bh_sandbox_close(&setup, &report) == BH_OK && report.failed[BH_LAYER_SECCOMP] == 0 &&
           report.failed[BH_LAYER_DESCRIPTORS] == 0;
}

static void open_pair(void)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    image = memfd_create("image", MFD_CLOEXEC);
    assert_true(image >= 0);
    assert_int_equal(ftruncate(image, 4096), 0);
    assert_int_equal(pwrite(image, "image", 5, 0), 5);
}

static void close_pair(void)
{
    (void)close(pair[0]);
    (void)close(pair[1]);
    (void)close(image);
}

/* Runs `try` in a closed child. Returns the child's wait status. */
static int run_in_child(bool (*try)(void), enum bh_sandbox_mode mode)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        bh_log_open("test_sandbox", 0); /* layers that this machine lacks are no news */
        if (!close_sandbox(mode)) {
            _exit(NO_SANDBOX);
        }
        _exit(try() ? DID : DID_NOT);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int run_closed(bool (*try)(void))
{
    open_pair();
    int status = run_in_child(try, BH_SANDBOX_BEST_EFFORT);
    close_pair();
    return status;
}

static void expect_killed(bool (*try)(void))
{
    int status = run_closed(try);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void expect_done(bool (*try)(void))
{
    int status = run_closed(try);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), DID);
}

/* ------------------------------------------------------------------------------------------------
 * forbidden */

static bool try_open(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool try_openat2(void)
{
    return syscall(SYS_openat2, AT_FDCWD, "/", NULL, (size_t)24) >= 0;
}

static bool try_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool try_connect(void)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/x"};
    return connect(pair[1], (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool try_execve(void)
{
    char *const none[] = {NULL};
    return execve("/bin/true", none, none) == 0;
}

static bool try_fork(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0;
}

static bool try_ptrace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool try_kill(void)
{
    return kill(getpid(), 0) == 0;
}

static bool try_pidfd(void)
{
    return syscall(SYS_pidfd_open, getpid(), 0u) >= 0;
}

static bool try_map_executable(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static bool try_make_executable(void)
{
    return mprotect(page, sizeof(page), PROT_READ | PROT_EXEC) == 0;
}

static bool try_mount(void)
{
    return mount("none", "/", "tmpfs", 0, NULL) == 0;
}

static bool try_unshare(void)
{
    return unshare(CLONE_NEWUSER) == 0;
}

static bool try_new_ring(void)
{
    struct io_uring another;
    return io_uring_queue_init(2, &another, 0) == 0;
}

static bool try_register(void)
{
    return syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_FILES, &image, 1u) == 0;
}

static bool try_other_ioctl(void)
{
    int value = 0;
    return ioctl(pair[1], FIONREAD, &value) == 0;
}

static bool try_other_fcntl(void)
{
    return fcntl(pair[1], F_SETOWN, getpid()) == 0;
}

static bool try_unlink(void)
{
    return unlink("/etc/passwd") == 0;
}

static bool try_stat_path(void)
{
    struct stat status;
    return stat("/etc/passwd", &status) == 0;
}

static bool try_setrlimit(void)
{
    const struct rlimit limit = {64, 64};
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* [BH-DEV-27] */
static void test_sandbox_opens_no_file(void **state)
{
    (void)state;
    expect_killed(try_open);
    expect_killed(try_openat2);
    expect_killed(try_unlink);
    expect_killed(try_stat_path);
}

/* [BH-DEV-27] */
static void test_sandbox_makes_no_socket_and_no_connection(void **state)
{
    (void)state;
    expect_killed(try_socket);
    expect_killed(try_connect);
}

/* [BH-DEV-27] */
static void test_sandbox_starts_no_program(void **state)
{
    (void)state;
    expect_killed(try_execve);
    expect_killed(try_fork);
}

static void test_sandbox_reaches_no_process(void **state)
{
    (void)state;
    expect_killed(try_ptrace);
    expect_killed(try_kill);
    expect_killed(try_pidfd);
}

static void test_sandbox_runs_no_new_code(void **state)
{
    (void)state;
    expect_killed(try_map_executable);
    expect_killed(try_make_executable);
}

static void test_sandbox_cannot_be_left(void **state)
{
    (void)state;
    expect_killed(try_mount);
    expect_killed(try_unshare);
    expect_killed(try_setrlimit);
    expect_killed(try_other_ioctl);
    expect_killed(try_other_fcntl);
}

/* ------------------------------------------------------------------------------------------------
 * still possible */

/* A front end sends a memory file and an eventfd; the back end maps the one and uses the other. */
static bool try_receive(void)
{
    uint8_t byte;
    union {
        struct cmsghdr header;
        uint8_t room[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof(control.room)};
    struct stat status;
    uint64_t value = 1;
    int fds[2];
    if (recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC) != 1 ||
        control.header.cmsg_len != CMSG_LEN(sizeof(fds))) {
        return false;
    }
    memcpy(fds, CMSG_DATA(&control.header), sizeof(fds));
    if (fstat(fds[0], &status) != 0 || status.st_size != 4096 ||
        (fcntl(fds[0], F_GET_SEALS) & F_SEAL_SHRINK) == 0) {
        return false;
    }
    uint8_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    if (shared == MAP_FAILED) {
        return false;
    }
    shared[0] = 0x42;
    if (munmap(shared, 4096) != 0 || close(fds[0]) != 0) {
        return false;
    }
    return write(fds[1], &value, sizeof(value)) == sizeof(value) &&
           read(fds[1], &value, sizeof(value)) == sizeof(value) && close(fds[1]) == 0;
}

/* Sends a sealed memory file and an eventfd into the child's end. Returns the file. */
static int send_memory(void)
{
    uint8_t byte = 0;
    int fds[2] = {memfd_create("window", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                  eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    union {
        struct cmsghdr header;
        uint8_t room[CMSG_SPACE(sizeof(fds))];
    } control = {0};
    struct iovec vector = {&byte, 1};
    const struct msghdr message = {.msg_iov = &vector,
                                   .msg_iovlen = 1,
                                   .msg_control = control.room,
                                   .msg_controllen = sizeof(control.room)};
    assert_int_equal(ftruncate(fds[0], 4096), 0);
    assert_int_equal(fcntl(fds[0], F_ADD_SEALS, F_SEAL_SHRINK), 0);
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(fds)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
    assert_int_equal(sendmsg(pair[0], &message, 0), 1);
    (void)close(fds[1]);
    return fds[0];
}

static void test_sandbox_receives_and_maps_memory(void **state)
{
    uint8_t byte = 0;
    (void)state;
    open_pair();
    int file = send_memory(); /* the socket keeps it until the child is there */
    int status = run_in_child(try_receive, BH_SANDBOX_BEST_EFFORT);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), DID);
    assert_int_equal(pread(file, &byte, 1, 0), 1);
    assert_int_equal(byte, 0x42);
    (void)close(file);
    close_pair();
}

static bool try_allocate(void)
{
    uint8_t *volatile block = malloc(1000000);
    if (block == NULL) {
        return false;
    }
    memset(block, 1, 1000000);
    uint8_t *volatile larger = realloc(block, 3000000);
    free(larger != NULL ? larger : block);
    return larger != NULL;
}

static bool try_memory_file(void)
{
    int fd = memfd_create("inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd >= 0 && ftruncate(fd, 8192) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 &&
           mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
}

static void test_sandbox_allocates_and_makes_memory_files(void **state)
{
    (void)state;
    expect_done(try_allocate);
    expect_done(try_memory_file);
}

/* ------------------------------------------------------------------------------------------------
 * io_uring: what it does, seccomp does not see */

/* The result of one submission. */
static int submit_one(const struct io_uring_sqe *wanted)
{
    struct io_uring_cqe *cqe;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe == NULL) {
        return 1;
    }
    *sqe = *wanted;
    if (io_uring_submit_and_wait(&ring, 1) != 1 || io_uring_peek_cqe(&ring, &cqe) != 0) {
        return 1;
    }
    int result = cqe->res;
    io_uring_cqe_seen(&ring, cqe);
    return result;
}

static bool try_ring_reads(void)
{
    char text[5];
    struct iovec vector = {text, sizeof(text)};
    struct io_uring_sqe sqe;
    io_uring_prep_readv(&sqe, image, &vector, 1, 0);
    return submit_one(&sqe) == 5 && memcmp(text, "image", 5) == 0;
}

/* Each of these is refused by the ring itself. */
static bool try_ring_refuses(void)
{
    char text[5];
    struct iovec vector = {text, sizeof(text)};
    struct io_uring_sqe sqe;
    io_uring_prep_openat(&sqe, AT_FDCWD, "/", O_RDONLY, 0);
    if (submit_one(&sqe) != -EACCES) {
        return false;
    }
    io_uring_prep_socket(&sqe, AF_UNIX, SOCK_STREAM, 0, 0);
    if (submit_one(&sqe) != -EACCES) {
        return false;
    }
    io_uring_prep_connect(&sqe, pair[1], NULL, 0);
    if (submit_one(&sqe) != -EACCES) {
        return false;
    }
    io_uring_prep_readv(&sqe, image, &vector, 1, 0);
    sqe.flags = IOSQE_FIXED_FILE;
    return submit_one(&sqe) == -EACCES;
}

/* [BH-DEV-27] */
static void test_sandbox_ring_does_disk_work_only(void **state)
{
    (void)state;
    expect_done(try_ring_reads);
    expect_done(try_ring_refuses);
    expect_killed(try_new_ring);
    expect_killed(try_register);
}

/* ------------------------------------------------------------------------------------------------
 * modes */

static int stray = -1;

static bool try_stray(void)
{
    struct stat status;
    bool gone = fstat(stray, &status) != 0 || !S_ISDIR(status.st_mode);
    return gone && close(pair[1]) == 0;
}

static void test_sandbox_closes_what_was_inherited(void **state)
{
    (void)state;
    stray = open("/", O_RDONLY | O_DIRECTORY);
    assert_true(stray >= 0);
    expect_done(try_stray);
    (void)close(stray);
}

static void test_sandbox_refuses_a_descriptor_that_is_not_open(void **state)
{
    const int keep[] = {1000};
    (void)state;
    assert_int_equal(bh_sandbox_descriptors(keep, 1), BH_INVALID);
}

/* Off means off: what would end a closed process is possible. */
static void test_sandbox_off(void **state)
{
    const struct bh_sandbox_setup setup = {.mode = BH_SANDBOX_OFF};
    struct bh_sandbox_report report;
    (void)state;
    bh_log_open("test_sandbox", 0);
    assert_int_equal(bh_sandbox_close(&setup, &report), BH_OK);
    assert_true(try_open());
    assert_int_equal(report.landlock_abi, 0);
}

static bool try_nothing(void)
{
    return true;
}

/* Strict is all or nothing: here all layers close, or it says that one does not. */
static void test_sandbox_strict(void **state)
{
    (void)state;
    open_pair();
    int status = run_in_child(try_nothing, BH_SANDBOX_STRICT);
    close_pair();
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == DID || WEXITSTATUS(status) == NO_SANDBOX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox_opens_no_file),
        cmocka_unit_test(test_sandbox_makes_no_socket_and_no_connection),
        cmocka_unit_test(test_sandbox_starts_no_program),
        cmocka_unit_test(test_sandbox_reaches_no_process),
        cmocka_unit_test(test_sandbox_runs_no_new_code),
        cmocka_unit_test(test_sandbox_cannot_be_left),
        cmocka_unit_test(test_sandbox_receives_and_maps_memory),
        cmocka_unit_test(test_sandbox_allocates_and_makes_memory_files),
        cmocka_unit_test(test_sandbox_ring_does_disk_work_only),
        cmocka_unit_test(test_sandbox_closes_what_was_inherited),
        cmocka_unit_test(test_sandbox_refuses_a_descriptor_that_is_not_open),
        cmocka_unit_test(test_sandbox_off),
        cmocka_unit_test(test_sandbox_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
