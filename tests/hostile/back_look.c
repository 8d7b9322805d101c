/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attacks by looking and reaching around: what the back end was given is searched as a whole, written
 * outside of what the table says, cut, sealed; and the processes around it are looked into. Secrets
 * that are found are reported as `found NAME`.
 */
#include "back.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT     50u /* requests that are served first */
#define EVERY  50u /* requests between two looks */
#define NOBODY 65534u
#define DUCK   "duck"

/* ---- searching ---- */

static void search(struct back *back, const char *where, const uint8_t *base, uint64_t size)
{
    for (uint32_t i = 0; i < back->secret_count; i++) {
        const struct secret *secret = &back->secrets[i];
        const uint8_t *at = memmem(base, (size_t)size, secret->bytes, SECRET_BYTES);
        if (at != NULL) {
            say(back, "found %s in %s at %#llx", secret->name, where,
                (unsigned long long)(at - base));
        }
    }
}

/* Every descriptor that this process has, whoever gave it: a file that can be mapped is searched. */
static void search_descriptors(struct back *back)
{
    for (int fd = 0; fd < 1024; fd++) {
        struct stat info;
        char where[32];
        if (fd == fileno(back->report) || fd == back->image || fstat(fd, &info) != 0 ||
            !S_ISREG(info.st_mode) || info.st_size == 0) {
            continue;
        }
        void *base = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (base != MAP_FAILED) {
            (void)snprintf(where, sizeof(where), "descriptor %d", fd);
            search(back, where, base, (uint64_t)info.st_size);
            (void)munmap(base, (size_t)info.st_size);
        }
    }
}

/* Before this process has opened much: what it inherited besides its connection. */
static void scan_start(struct back *back)
{
    for (int fd = 3; fd < 1024; fd++) {
        if (fd != back->connection && fd != fileno(back->report) && fd != back->image &&
            fcntl(fd, F_GETFD) >= 0) {
            char link[64];
            char target[128] = "";
            (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
            if (readlink(link, target, sizeof(target) - 1u) < 0) {
                target[0] = '\0';
            }
            say(back, "inherited %d %s", fd, target);
        }
    }
}

static bool scan(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (back->served < AT || back->served % EVERY >= 8u) {
        return false;
    }
    did(back);
    for (uint32_t i = 0; i < back->region_count; i++) {
        const struct region *region = &back->regions[i];
        if (region->base != NULL) {
            search(back, "region", region->base, region->file_size);
        }
    }
    search_descriptors(back);
    return false;
}

/* ---- reaching ---- */

/* Writes whatever lies in the files that it got, and is not in the table. */
static bool beyond(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (back->served < AT) {
        return false;
    }
    did(back);
    for (uint32_t i = 0; i < back->region_count; i++) {
        const struct region *region = &back->regions[i];
        uint64_t end = region->table.mmap_offset + region->table.size;
        if (region->base == NULL) {
            continue;
        }
        memset(region->base, 0xbe, (size_t)region->table.mmap_offset);
        if (end < region->file_size) {
            memset(region->base + end, 0xbe, (size_t)(region->file_size - end));
        }
    }
    return false;
}

/* Takes the memory away from under those who have it mapped. */
static bool truncated(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (back->served < AT || back->did) {
        return false;
    }
    did(back);
    for (uint32_t i = 0; i < back->region_count; i++) {
        if (ftruncate(back->regions[i].fd, 0) == 0) {
            say(back, "got truncated region %u", i);
        }
        if (ftruncate(back->regions[i].fd, (off_t)back->regions[i].file_size * 2) == 0) {
            say(back, "got grown region %u", i);
        }
    }
    return false;
}

/* Seals that would keep a successor, or the next gate, from mapping the memory. */
static bool sealed(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (back->served < AT || back->did) {
        return false;
    }
    did(back);
    for (uint32_t i = 0; i < back->region_count; i++) {
        if (fcntl(back->regions[i].fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0) {
            say(back, "got sealed region %u", i);
        }
    }
    _exit(0); /* who comes next must be able to map it */
}

/* ---- looking into processes ---- */

static void try_reading(struct back *back, int pid, const char *name)
{
    const char *got = strcmp(name, DUCK) == 0 ? DUCK : "got";
    char path[64];
    uint8_t bytes[4096];
    char line[256];
    (void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    if (maps != NULL) {
        say(back, "%s maps of %s", got, name);
        while (fgets(line, sizeof(line), maps) != NULL) {
            struct iovec local = {bytes, sizeof(bytes)};
            struct iovec remote = {(void *)strtoul(line, NULL, 16), sizeof(bytes)};
            if (process_vm_readv(pid, &local, 1, &remote, 1, 0) > 0) {
                say(back, "%s memory of %s", got, name);
                break;
            }
        }
        (void)fclose(maps);
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    if (open(path, O_RDWR | O_CLOEXEC) >= 0) {
        say(back, "%s mem of %s", got, name);
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/fd/3", pid);
    if (open(path, O_RDWR | O_CLOEXEC) >= 0) {
        say(back, "%s descriptor of %s", got, name);
    }
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0) {
        (void)waitpid(pid, NULL, __WALL);
        (void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
        say(back, "%s control of %s", got, name);
    }
}

/* The beginning of a file of /proc, with a 0 at its end. Returns its length, 0: there is none. */
static size_t read_proc(int pid, const char *file, char *bytes, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, bytes, size - 1u) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    bytes[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0u;
}

static int parent_of(int pid)
{
    char bytes[512];
    (void)read_proc(pid, "stat", bytes, sizeof(bytes));
    const char *name_end = strrchr(bytes, ')');
    /* PID (NAME) STATE PARENT */
    return name_end != NULL && strlen(name_end) > 4u ? (int)strtol(name_end + 4, NULL, 10) : 0;
}

/* Only processes of this very test: their command line, or that of who started them, names the state
 * folder. Nobody else's are touched; nor is the test itself. */
static bool is_meant(const struct back *back, int pid, char *name, size_t size)
{
    char bytes[4096];
    size_t length = read_proc(pid, "comm", name, size);
    if (length == 0u) {
        return false;
    }
    name[length - 1u] = '\0';
    for (int at = pid, i = 0; at > 1 && i < 3; i++) {
        length = read_proc(at, "cmdline", bytes, sizeof(bytes));
        if (memmem(bytes, length, back->state, strlen(back->state)) != NULL) {
            return strstr(name, "python") == NULL;
        }
        at = parent_of(at);
    }
    return false;
}

/* Whoever a back end is made to be: nobody, without capabilities. */
static void become_nobody(void)
{
    if (getuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
                          setresuid(NOBODY, NOBODY, NOBODY) != 0)) {
        _exit(3);
    }
}

/* A process of the same user that does nothing for its safety: what can be had of it shows that this
 * attack works. */
static pid_t start_duck(void)
{
    pid_t duck = fork();
    if (duck == 0) {
        become_nobody();
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
        (void)prctl(PR_SET_NAME, DUCK, 0, 0, 0);
        (void)sleep(60);
        _exit(0);
    }
    return duck;
}

static void pry_as_nobody(struct back *back)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    char name[64];
    become_nobody();
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        int pid = (int)strtol(entry->d_name, NULL, 10);
        if (pid > 1 && pid != getpid() && pid != getppid() &&
            is_meant(back, pid, name, sizeof(name))) {
            say(back, "looks at %s", name);
            try_reading(back, pid, name);
        }
    }
    if (proc != NULL) {
        (void)closedir(proc);
    }
}

static bool pry(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (back->served < AT || back->did) {
        return false;
    }
    did(back);
    pid_t duck = start_duck();
    pid_t child = fork();
    if (child == 0) {
        (void)usleep(100000); /* until the duck sits */
        pry_as_nobody(back);
        _exit(0);
    }
    (void)waitpid(child, NULL, 0);
    (void)kill(duck, SIGKILL);
    (void)waitpid(duck, NULL, 0);
    return false;
}

const struct attack look_attacks[] = {
    {.name = "scan", .start = scan_start, .popped = scan},
    {.name = "beyond", .popped = beyond},
    {.name = "truncated", .popped = truncated},
    {.name = "sealed", .popped = sealed},
    {.name = "pry", .popped = pry},
};
const uint32_t look_attack_count = sizeof(look_attacks) / sizeof(look_attacks[0]);
