/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words that people bring along, as one table. A line holds what is plainly the same thing
 * under another name; what only looks alike is bh_suggest's.
 */
#include "meant.h"

#include <string.h>

#define WORD_MAX 48u

static const struct bh_meant table[] = {
    /* Keys of the definition, the host, the engine. */
    {"definition", "vms vm domains domain services partitions machines guest", "guests", NULL},
    {"definition", "volumes disks storage resource", "resources", NULL},
    {"definition", "rules permissions access policies acl", "policy", NULL},
    {"definition", "assertions asserts invariants properties", "assert", NULL},
    {"definition", "includes import imports extends", "include", NULL},
    {"definition", "board soc target", "host", NULL},
    {"definition", "hypervisor", "engine", NULL},
    {"definition", "version", NULL, "the version of the form is the first line, bulkhead: 1"},
    {"host", "cores cpu processors", "cpus", NULL},
    {"host", "ram mem", "memory", NULL},
    {"engine", "accel", "accelerator", NULL},
    {"engine", "binary program path emulator", "qemu", NULL},
    {"engine", "type", NULL, "the engine is QEMU: remove it"},
    /* Of a guest. */
    {"guest", "vcpus vcpu smp cores cpu processors", "cpus", NULL},
    {"guest", "cpu-affinity affinity cpuset cpusets pcpus pinning cpu-pinning", "host-cpus", NULL},
    {"guest", "ram mem memory-size", "memory", NULL},
    {"guest", "asil safety safety-level integrity", "criticality", NULL},
    {"guest", "architecture", "arch", NULL},
    {"guest", "depends-on depends requires", "after", NULL},
    {"guest", "restart restart-policy on-reboot on-crash", "on-reset", NULL},
    {"guest", "extends inherits base", "template", NULL},
    {"guest", "loader bootloader", "boot", NULL},
    {"guest", "order boot-order", "priority", NULL},
    {"guest", "ready healthcheck", "ready-when", NULL},
    {"guest", "stop-timeout stop-grace-period timeout", "stop-within", NULL},
    {"guest", "wdt", "watchdog", NULL},
    {"guest", "cmdline append bootargs", NULL, "write boot: { kernel: Image, command-line: ... }"},
    {"guest", "include", NULL,
     "what guests have in common is a template: template: NAME here, and its keys in templates"},
    {"guest", "name", NULL, "a guest is named by the key that it stands under: remove it"},
    {"boot", "append bootargs cmdline args kernel-args", "command-line", NULL},
    {"boot", "initramfs ramdisk", "initrd", NULL},
    {"boot", "bios uefi ovmf edk2 u-boot loader bootloader", "firmware", NULL},
    {"boot", "image bzimage vmlinux linux", "kernel", NULL},
    {"boot", "rtos binary program", "elf", NULL},
    {"boot", "dtb dts device-tree fdt", NULL,
     "the device tree is made from the definition, and `bulkhead build` shows it: remove it"},
    {"watchdog", "timeout-sec timeout-ms period interval seconds", "timeout", NULL},
    {"watchdog", "on-expiry on-timeout then", "action", NULL},
    {"ready-when", "log line text output pattern", "message", NULL},
    /* Of a device, a resource, limits. */
    {"device", "drive backend source disk uses", "resource", NULL},
    {"device", "image file path folder", NULL,
     "it belongs to a resource, which the device names: resource: NAME"},
    {"device", "num-queues mq queue-pairs", "queues", NULL},
    {"device", "model driver kind class", "type", NULL},
    {"device", "compatible", NULL, "the device tree is made from the type: write type: blk"},
    {"device", "irq interrupts reg addr", NULL,
     "addresses and interrupts follow from the slot: write slot: 0, or nothing"},
    {"device", "readonly read-only ro", NULL,
     "the policy says who may write; a resource that nobody may write to has read-only: true"},
    {"resource", "file filename path src source", "image", NULL},
    {"resource", "path directory dir src source image", "folder", NULL},
    {"resource", "path dev node file source", "device", NULL},
    {"resource", "interface dev channel device", "bus", NULL},
    {"resource", "tap bridge ifname netdev dev device", "interface", NULL},
    {"resource", "readonly ro", "read-only", NULL},
    {"resource", "model driver kind class", "type", NULL},
    {"resource", "format", NULL, "images are raw: convert others with qemu-img convert -O raw"},
    {"limits", "iops ops requests", "operations", NULL},
    {"limits", "bps bandwidth throughput", "bytes", NULL},
    {"limits", "latency timeout", "deadline", NULL},
    /* Of policy lines and assertions. */
    {"policy line", "subject who from vm domain", "guest", NULL},
    {"policy line", "object to target device", "resource", NULL},
    {"policy line", "action actions operations ops access permit permissions rights", "allow",
     NULL},
    {"policy line", "id can-ids identifiers filter filters", "ids", NULL},
    {"policy line", "mode when", "modes", NULL},
    {"assertion", "isolation isolate", "isolated", NULL},
    {"assertion", "flow noflow", "no-flow", NULL},
    {"assertion", "no-sharing not-shared disjoint", "no-shared-resource", NULL},
    {"assertion", "via through", "only-through", NULL},
    {"no-flow", "source src", "from", NULL},
    {"no-flow", "destination dst sink", "to", NULL},
    {"only-through", "source src", "from", NULL},
    {"only-through", "destination dst sink", "to", NULL},
    {"only-through", "via by mediator", "through", NULL},
    /* Values of choices. */
    {"arch", "aarch64 armv8 armv8-a arm", "arm64", NULL},
    {"arch", "amd64 x64 x86 intel64", "x86_64", NULL},
    {"criticality", "a asila", "ASIL-A", NULL},
    {"criticality", "b asilb", "ASIL-B", NULL},
    {"criticality", "c asilc", "ASIL-C", NULL},
    {"criticality", "d asild", "ASIL-D", NULL},
    {"criticality", "none", "QM", NULL},
    {"isolation", "none off no false shared", "open", NULL},
    {"isolation", "vhost-user windows", "direct", NULL},
    {"isolation", "copy swiotlb", "bounce", NULL},
    {"isolation", "strict full strong true yes on", NULL,
     "shadow keeps the device out of the guest's other memory, and holds if nothing is written"},
    {"on-violation", "reset restart reboot", "reset-guest", NULL},
    {"on-violation", "stop poweroff shutdown destroy", "stop-guest", NULL},
    {"on-violation", "ignore report log disconnect", "detach", NULL},
    {"on-failure", "reset restart reboot", "reset-guest", NULL},
    {"on-failure", "stop-platform halt panic", "stop", NULL},
    {"on-failure", "poweroff shutdown destroy", "stop-guest", NULL},
    {"on-failure", "ignore report log error disconnect", "detach", NULL},
    {"on-reset", "reboot reset always on-failure", "restart", NULL},
    {"on-reset", "poweroff shutdown never destroy", "stop", NULL},
    {"action", "reset reboot", "restart", NULL},
    {"action", "poweroff shutdown destroy", "stop", NULL},
    {"action", "log warn notify", "report", NULL},
    {"accelerator", "emulation none", "tcg", NULL},
    {"device type", "disk block drive storage", "blk", NULL},
    {"device type", "entropy random hwrng", "rng", NULL},
    {"device type", "serial tty uart terminal", "console", NULL},
    {"device type", "network nic ethernet eth tap", "net", NULL},
    {"device type", "canfd vcan socketcan", "can", NULL},
    {"device type", "virtiofs 9p share filesystem folder", "fs", NULL},
    {"device type", "sensors sensor", "scmi", NULL},
    {"device type", "clock time", "rtc", NULL},
    {"device type", "socket sockets", "vsock", NULL},
    {"device type", "keys hsm", "crypto", NULL},
    {"device type", "audio snd", "sound", NULL},
    {"device type", "display graphics", "gpu", NULL},
    {"device type", "keyboard touch mouse evdev", "input", NULL},
    {"device type", "v4l2 video", "camera", NULL},
    {"device type", "codec", "media", NULL},
    {"device type", "vfio vfio-pci pci hostdev hardware", "passthrough", NULL},
    {"resource type", "blk block file image raw drive volume", "disk", NULL},
    {"resource type", "qcow2", "disk", "images are raw: qemu-img convert -O raw makes one"},
    {"resource type", "rng random hwrng", "entropy", NULL},
    {"resource type", "tap bridge network nic ethernet eth macvtap", "net", NULL},
    {"resource type", "vcan canfd socketcan", "can", NULL},
    {"resource type", "scmi", "sensors", NULL},
    {"resource type", "rtc time", "clock", NULL},
    {"resource type", "vsock socket", "sockets", NULL},
    {"resource type", "fs directory dir virtiofs share bind", "folder", NULL},
    {"resource type", "crypto hsm", "keys", NULL},
    {"resource type", "gpu", "display", NULL},
    {"resource type", "media", "codec", NULL},
    {"resource type", "audio alsa", "sound", NULL},
    {"resource type", "passthrough pci vfio", "hardware", NULL},
    /* Operations; a resource has some of them. */
    {"allow", "r ro", "read", NULL},
    {"allow", "r ro rx recv read listen", "receive", NULL},
    {"allow", "w wo", "write", NULL},
    {"allow", "w wo tx transmit write", "send", NULL},
    {"allow", "rw read-write", "read, write", NULL},
    {"allow", "rw rxtx", "receive, send", NULL},
    {"allow", "trim unmap", "discard", NULL},
    {"allow", "sync fsync barrier", "flush", NULL},
    {"allow", "all any *", NULL, "no word stands for all of them: write out those that are meant"},
    {"deny", "all any *", NULL, "what no line allows is denied anyway: remove the line"},
    /* Everything, where leaving it out says so. */
    {"modes", "all any *", NULL, "what has no modes holds in all of them: remove it"},
    {"ids", "all any *", NULL, "a line without ids holds for all of them: remove it"},
    {"lines", "all any *", NULL, "a policy line without lines holds for all of them: remove it"},
    {"host-cpus", "all any *", NULL, "a guest without host-cpus may run on all: remove it"},
    {"cpus", "all any *", NULL, "it is how many processors the guest has, which is written out"},
    {"cpus", "[]", NULL, "it is how many they are; which ones run a guest is its host-cpus"},
    {"guest", "[]", NULL, "write an entry for each guest"},
    {"resource", "[]", NULL, "write an entry for each resource"},
};

/* Small letters, and - between the parts of a word; cut where it is too long to be in the table. */
static void plain(const char *text, char to[WORD_MAX])
{
    size_t length = 0;

    for (; *text != '\0' && length + 1 < WORD_MAX; text++) {
        char c = *text;

        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        } else if (c == '_' || c == ' ' || c == ',') {
            c = '-';
        }
        to[length++] = c;
    }
    to[length] = '\0';
}

static bool is_among(const char *words, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = words; length != 0 && (at = strstr(at, word)) != NULL; at += length) {
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

const struct bh_meant *bh_meant_next(const struct bh_meant *last, const char *place,
                                     const char *word)
{
    const struct bh_meant *end = table + sizeof(table) / sizeof(table[0]);
    char small[WORD_MAX];

    plain(word, small);
    for (const struct bh_meant *line = last == NULL ? table : last + 1; line < end; line++) {
        if (strcmp(line->place, place) == 0 && is_among(line->words, small)) {
            return line;
        }
    }
    return NULL;
}

/* Without what says how a device is attached: virtio-blk-pci is blk. */
static void strip(char word[WORD_MAX])
{
    static const char *const before[] = {"vhost-user-", "virtio-"};
    static const char *const behind[] = {"-pci", "-device", "-ccw"};

    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        size_t length = strlen(before[i]);

        if (strncmp(word, before[i], length) == 0) {
            memmove(word, word + length, strlen(word + length) + 1);
        }
    }
    for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
        size_t length = strlen(behind[i]);
        size_t all = strlen(word);

        if (all > length && strcmp(word + all - length, behind[i]) == 0) {
            word[all - length] = '\0';
        }
    }
}

const char *bh_meant_choice(const struct bh_schema_key *key, const char *text, const char **advice)
{
    const char *place = key->words == bh_words_device     ? "device type"
                        : key->words == bh_words_resource ? "resource type"
                                                          : key->key;
    const struct bh_meant *line;
    char small[WORD_MAX];
    char own[WORD_MAX];

    *advice = NULL;
    plain(text, small);
    strip(small);
    for (size_t i = 0; key->words[i].word != NULL; i++) {
        plain(key->words[i].word, own);
        if (strcmp(own, small) == 0) {
            return key->words[i].word;
        }
    }
    line = bh_meant_next(NULL, place, small);
    if (line == NULL) {
        return NULL;
    }
    *advice = line->advice;
    return line->here;
}
