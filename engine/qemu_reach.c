/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a QEMU needs to open by itself: its program, libraries and data, and KVM. Images, memory and
 * sockets are descriptors. Whoever has a home is not here: neither files of users nor of programs
 * that run.
 */
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

/* Where a system has its programs. */
static const struct bh_child_path usual[] = {
    {"/usr", false},         {"/lib", false},
    {"/lib64", false},       {"/bin", false},
    {"/opt", false},         {"/nix/store", false},
    {"/gnu/store", false},   {"/etc/ld.so.cache", false},
    {"/dev/urandom", false}, {"/dev/kvm", true},
};
#define USUAL (sizeof(usual) / sizeof(usual[0]))

_Static_assert(USUAL + 2u <= BH_QEMU_REACH_MAX, "the own folder and the end come behind");

/* The folder of an installation: above its `bin`, or the one where the program lies. */
static bool own_folder(const char *program, char own[PATH_MAX])
{
    if (realpath(program, own) == NULL) {
        return false;
    }
    *strrchr(own, '/') = '\0';
    char *last = strrchr(own, '/');
    if (last != NULL && strcmp(last, "/bin") == 0) {
        *last = '\0';
    }
    return own[0] != '\0';
}

void bh_qemu_reach_make(struct bh_qemu_reach *reach, const char *program)
{
    size_t count = USUAL;
    memcpy(reach->paths, usual, sizeof(usual));
    if (own_folder(program, reach->own)) {
        reach->paths[count++] = (struct bh_child_path){.path = reach->own};
    }
    reach->paths[count] = (struct bh_child_path){.path = NULL};
}
