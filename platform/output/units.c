/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME.service: the unit, directive by directive, each with why it is so. What of it depends on the
 * definition is worked out in units_facts.c; how a path is written is units_text.c.
 *
 * The supervisor needs namespaces and Landlock for its children, so nothing here takes these away.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/platform_unit.h"
#include "units.h"

#define MIB (UINT64_C(1) << 20)

struct unit {
    FILE *to;
    const struct bh_platform *platform;
    const struct bh_unit_facts *facts;
    bool image;
};

/* A directive that is always the same, and why it is there; NULL: a section or an empty line. */
struct fixed {
    const char *why;
    const char *text;
};

static void put_fixed(const struct unit *unit, const struct fixed *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(unit->to, "%s%s\n%s\n", i > 0 ? "\n# " : "# ", lines[i].why, lines[i].text);
    }
}

#define PUT_FIXED(unit, lines) put_fixed(unit, lines, sizeof(lines) / sizeof((lines)[0]))

/* ------------------------------------------------------------------------------------------------
 * [Unit] */

static void put_head(const struct unit *unit)
{
    const char *name = unit->platform->name.text;

    (void)fprintf(
        unit->to,
        "# Runs platform %s. Made by `bulkhead build`: what differs on a host belongs into a\n"
        "# drop-in (`systemctl edit %s`), because the next build writes this file again.\n"
        "#\n"
        "# Its files lie in " BH_UNIT_FOLDER "%s:\n"
        "# %s, and what relative paths in it name. To have\n"
        "# them elsewhere, put a link or a mount there.\n",
        name, name, name,
        unit->image ? "the signed image" : "the definition with what it includes");
}

static void put_unit(const struct unit *unit)
{
    static const struct fixed early[] = {
        {"Started as early as its own needs allow, not when basic.target is there: what the "
         "driver\n"
         "# must see comes first. What that leaves to say about the end follows.",
         "DefaultDependencies=no\nConflicts=shutdown.target\nBefore=shutdown.target"},
        {"Files have to be there, and the device nodes.",
         "After=local-fs.target systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service"},
        {"A platform that ends again and again stays down: three times in a minute.",
         "StartLimitIntervalSec=60\nStartLimitBurst=3"},
    };

    (void)fprintf(unit->to,
                  "[Unit]\nDescription=Bulkhead platform %s\n"
                  "Documentation=man:bulkhead(1) man:bulkhead.yaml(5)\n\n",
                  unit->platform->name.text);
    PUT_FIXED(unit, early);
    (void)fprintf(unit->to,
                  "\n# The file systems of its files.\nRequiresMountsFor=" BH_UNIT_FOLDER "%s",
                  unit->platform->name.text);
    for (uint32_t i = 0; i < unit->facts->path_count; i++) {
        if (!unit->facts->paths[i].is_device) {
            (void)fputc(' ', unit->to);
            bh_unit_put_path(unit->to, "", unit->facts->paths[i].path);
        }
    }
    (void)fputc('\n', unit->to);
    for (uint32_t i = 0; i < unit->facts->path_count; i++) {
        const struct bh_unit_path *path = &unit->facts->paths[i];

        if (path->is_device && path->is_disk) {
            (void)fputs("\n# A disk that may appear late.\nRequires=", unit->to);
            bh_unit_put_device_name(unit->to, path->path);
            (void)fputs("\nAfter=", unit->to);
            bh_unit_put_device_name(unit->to, path->path);
            (void)fputc('\n', unit->to);
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * [Service]: the process */

static void put_start(const struct unit *unit)
{
    const char *name = unit->platform->name.text;
    static const struct fixed type[] = {
        {"It says by itself when every guest runs, and that it lives. One that is silent is ended\n"
         "# and started again.",
         "Type=notify\nNotifyAccess=main\nWatchdogSec=10"},
    };

    (void)fputs("\n[Service]\n", unit->to);
    PUT_FIXED(unit, type);
    (void)fprintf(unit->to, "\n# %s\nExecStart=" BH_UNIT_PROGRAM " run --state=%%S/bulkhead/%s ",
                  unit->image
                      ? "The image: verified, and refused if a later one has run here."
                      : "The definition. A vehicle runs a signed image: `bulkhead build --sign`.",
                  name);
    bh_unit_put_argument(unit->to, unit->facts->file);
    (void)fprintf(unit->to,
                  "\n\n# A guest may wait for another one to be ready, for as long as that takes.\n"
                  "TimeoutStartSec=infinity\n"
                  "\n# SIGTERM to the supervisor is the orderly stop; its guests and back ends end "
                  "through it.\n"
                  "# The longest stop-within is %" PRIu64
                  " s; engines and back ends take a few more.\n"
                  "KillMode=mixed\nTimeoutStopSec=%" PRIu64 "\n",
                  unit->facts->stop_seconds, unit->facts->stop_seconds + BH_UNIT_STOP_MORE);
}

static void put_restart(const struct unit *unit)
{
    static const struct fixed restarts[] = {
        {"A guest of it is to be restarted (on-reset, watchdog), so the platform is too if it "
         "fails.\n"
         "# One that is refused (exit status 1, 2) would be refused again.",
         "Restart=on-failure\nRestartPreventExitStatus=1 2"},
    };
    static const struct fixed stays[] = {
        {"No guest of it is to be restarted, so a guest that failed stays as it is. A supervisor "
         "that\n"
         "# crashed or hung is started again.",
         "Restart=on-abnormal"},
    };

    (void)fputc('\n', unit->to);
    if (unit->facts->restarts) {
        PUT_FIXED(unit, restarts);
    } else {
        PUT_FIXED(unit, stays);
    }
}

static void put_limits(const struct unit *unit)
{
    const struct bh_unit_facts *facts = unit->facts;

    (void)fprintf(unit->to,
                  "\n# Descriptors of %" PRIu32 " guests with %" PRIu32
                  " devices: sockets, windows, queues, timers, pid "
                  "files.\nLimitNOFILE=%" PRIu32 "\n",
                  unit->platform->guest_count, facts->device_count, facts->descriptors);
    (void)fprintf(
        unit->to, "\n# %s\nLimitMEMLOCK=%" PRIu64 "M\n",
        facts->locks_memory
            ? "Hardware that is passed through reaches its guest's memory, which stays in place."
            : "Rings of io_uring; older kernels count them.",
        facts->locked / MIB);
    (void)fputs("\n# No memory of a guest in a core file.\nLimitCORE=0\n", unit->to);
    (void)fprintf(
        unit->to,
        "\n# %" PRIu64 "M of the guests and their windows; for each guest %uM for its engine and\n"
        "# what it boots%s; %" PRIu64 "M for the gates and\n"
        "# their copies; for each back end, with one that is kept ready, %uM, and %uM for "
        "the\n# supervisor. What is more is a leak, and ends the platform, "
        "not its host.\n"
        "MemoryMax=%" PRIu64 "M\n",
        facts->guest_memory / MIB, BH_UNIT_ENGINE_MIB,
        facts->emulates ? ", and 1024M for translated code where there is no KVM" : "",
        facts->gate_memory / MIB, BH_UNIT_BACKEND_MIB, BH_UNIT_SUPERVISOR_MIB, facts->memory / MIB);
    if (facts->cpus[0] != '\0') {
        (void)fprintf(
            unit->to,
            "\n# Every guest is pinned (host-cpus): nothing of the platform runs elsewhere.\n"
            "AllowedCPUs=%s\n",
            facts->cpus);
    }
}

/* ------------------------------------------------------------------------------------------------
 * [Service]: the sandbox */

static void put_folders(const struct unit *unit)
{
    static const struct fixed folders[] = {
        {"/run/bulkhead holds the control sockets of all platforms, so it stays when this one "
         "ends.",
         "RuntimeDirectory=bulkhead\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=yes"},
        {"Nobody else reads or makes files of the platform.", "UMask=0077"},
        {"Everything can only be read, but for what is named below.", "ProtectSystem=strict"},
    };
    const struct bh_unit_facts *facts = unit->facts;

    (void)fprintf(unit->to,
                  "\n# The rollback index and the audit log outlive a run.\n"
                  "StateDirectory=bulkhead/%s\nStateDirectoryMode=0700\n\n",
                  unit->platform->name.text);
    PUT_FIXED(unit, folders);
    (void)fprintf(unit->to, "\n# %s\nProtectHome=%s\n",
                  facts->uses_home ? "The definition names a file below a home."
                                   : "It has no business with homes.",
                  facts->uses_home ? "read-only" : "yes");
    (void)fprintf(unit->to, "\n# %s\nPrivateTmp=%s\n",
                  facts->uses_tmp ? "The definition names a file in /tmp." : "Nor with /tmp.",
                  facts->uses_tmp ? "no" : "yes");
}

static void put_paths(const struct unit *unit)
{
    for (uint32_t i = 0; i < unit->facts->path_count; i++) {
        const struct bh_unit_path *path = &unit->facts->paths[i];

        if (!path->is_device) {
            (void)fprintf(unit->to, "\n# Resource %s: the policy %s\n%s=", path->resource,
                          path->writable ? "allows to write it." : "allows nothing but reading.",
                          path->writable ? "ReadWritePaths" : "ReadOnlyPaths");
            /* What is not there is said by `run`, better than by the manager. */
            bh_unit_put_path(unit->to, "-", path->path);
            (void)fputc('\n', unit->to);
        }
    }
}

static void put_devices(const struct unit *unit)
{
    const struct bh_unit_facts *facts = unit->facts;
    bool none = !facts->uses_kvm && !facts->locks_memory;

    for (uint32_t i = 0; i < facts->path_count; i++) {
        none = none && !facts->paths[i].is_device;
    }
    if (none) {
        (void)fputs("\n# It uses no device of the host.\nPrivateDevices=yes\n", unit->to);
        return;
    }
    (void)fputs("\n# No devices but /dev/null and its like, and those that follow.\n"
                "DevicePolicy=closed\n",
                unit->to);
    if (facts->uses_kvm) {
        (void)fputs("\n# The processors of the guests.\nDeviceAllow=/dev/kvm rw\n", unit->to);
    }
    if (facts->locks_memory) {
        (void)fputs("\n# Hardware that is passed through.\nDeviceAllow=char-vfio rw\n", unit->to);
    }
    for (uint32_t i = 0; i < facts->path_count; i++) {
        const struct bh_unit_path *path = &facts->paths[i];

        if (path->is_device) {
            (void)fprintf(unit->to, "\n# Resource %s\nDeviceAllow=", path->resource);
            bh_unit_put_path(unit->to, "", path->path);
            (void)fprintf(unit->to, " %s\n", path->writable ? "rw" : "r");
        }
    }
}

static void put_network(const struct unit *unit)
{
    const struct bh_unit_facts *facts = unit->facts;

    (void)fprintf(unit->to, "\n# %s\nPrivateNetwork=%s\n",
                  facts->uses_network
                      ? "A resource is an interface of the host (net, or a CAN bus with a name)."
                      : "No resource is an interface of the host.",
                  facts->uses_network ? "no" : "yes");
    if (!facts->uses_net) {
        (void)fputs("\n# And none speaks IP.\nIPAddressDeny=any\n", unit->to);
    }
    (void)fprintf(unit->to,
                  "\n# Sockets between supervisor, back ends and engines%s.\n"
                  "RestrictAddressFamilies=AF_UNIX%s%s\n",
                  facts->uses_network ? "; and those of the interfaces" : "",
                  facts->uses_can ? " AF_CAN AF_NETLINK" : "",
                  facts->uses_net ? " AF_INET AF_INET6 AF_PACKET AF_NETLINK" : "");
}

static void put_kernel(const struct unit *unit)
{
    static const struct fixed kernel[] = {
        {"Nothing gains rights by starting a program.", "NoNewPrivileges=yes"},
        {"Of root's rights those that the kernel asks for when root gives children user namespaces "
         "with\n"
         "# itself in them, and no others: an image that root alone may not open is somebody "
         "else's.",
         "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SETFCAP"},
        {"Back ends and engines live in namespaces of these kinds; of time there is one only.",
         "RestrictNamespaces=cgroup ipc mnt net pid user uts"},
        {"What services call, and what children close their own sandboxes with: an empty root, a\n"
         "# filter, Landlock.",
         "SystemCallFilter=@system-service @mount\n"
         "SystemCallFilter=seccomp landlock_create_ruleset landlock_add_rule "
         "landlock_restrict_self\n"
         "SystemCallErrorNumber=EPERM"},
        {"No other kind of system calls than this processor's own.",
         "SystemCallArchitectures=native"},
        {"The kernel's settings, modules, log, clock and name are no business of a platform's.",
         "ProtectKernelTunables=yes\nProtectKernelModules=yes\nProtectKernelLogs=yes\n"
         "ProtectHostname=yes\nProtectControlGroups=yes"},
        {"It sees no processes but its own, and nobody sees what it mounts.",
         "ProtectProc=invisible\nProcSubset=pid\nPrivateMounts=yes"},
        {"Small doors that nobody needs open.",
         "LockPersonality=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\nRemoveIPC=yes\n"
         "KeyringMode=private"},
    };

    (void)fputc('\n', unit->to);
    PUT_FIXED(unit, kernel);
    if (!unit->facts->uses_clock) {
        (void)fputs("\n# No resource is a clock.\nProtectClock=yes\n", unit->to);
    }
    if (!unit->facts->emulates) {
        (void)fputs("\n# Nothing makes code at run time: KVM runs the guests.\n"
                    "MemoryDenyWriteExecute=yes\n",
                    unit->to);
    }
}

char *bh_unit_text(const struct bh_platform *platform, bool image)
{
    struct bh_unit_facts facts;
    char *text = NULL;
    size_t size = 0;

    if (!bh_unit_facts_make(&facts, platform, image)) {
        bh_unit_facts_finish(&facts);
        return NULL;
    }
    const struct unit unit = {open_memstream(&text, &size), platform, &facts, image};

    if (unit.to != NULL) {
        static void (*const parts[])(const struct unit *) = {
            put_head,    put_unit,  put_start,   put_restart, put_limits,
            put_folders, put_paths, put_devices, put_network, put_kernel,
        };

        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            parts[i](&unit);
        }
        (void)fputs("\n[Install]\nWantedBy=multi-user.target\n", unit.to);
        const bool failed = ferror(unit.to) != 0;

        if (fclose(unit.to) != 0 || failed) {
            free(text);
            text = NULL;
        }
    }
    bh_unit_facts_finish(&facts);
    return text;
}
