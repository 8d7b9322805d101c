#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
#
# Pid 1 of the guests behind the gate: does what the host types, line by line.
#
# What it is: a line "TAG COMMAND..." runs the command, and then the console says "BULKHEAD done TAG STATUS". It runs
# from the initrd; fio and its libraries are on a disk of QEMU's own, mounted by `tools`.
# What it is not: a test. See rig.py.

busybox mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null # the kernel may have done that
mount -t tmpfs tmp /tmp
exec </dev/console >/dev/console 2>&1
stty -echo
# fio's libraries reserve more memory than a small guest has, and never touch it.
echo 1 >/proc/sys/vm/overcommit_memory

TOOLS='' # the disk with programs, and the disk under test
DISK=''
for folder in /sys/block/vd*; do
    case $(cat "$folder/serial") in
    tools) TOOLS=/dev/${folder##*/} ;;
    *) DISK=/dev/${folder##*/} ;;
    esac
done

tools() { # mounts the programs; chroot /tools then finds them
    mount -t ext4 -o ro "$TOOLS" /tools && mount --bind /dev /tools/dev &&
        mount --bind /proc /tools/proc && mount --bind /tmp /tools/tmp
}

rounds() { # OPTION...: fio, again and again until /tmp/stop is there
    while [ ! -e /tmp/stop ]; do
        chroot /tools /usr/bin/fio --filename="$DISK" "$@" >/tmp/fio 2>&1 || {
            echo "BULKHEAD not-ok fio"
            cat /tmp/fio
            return 1
        }
        echo "BULKHEAD note a round of fio"
    done
}

load() { # OFFSET SIZE SEED DEPTH BLOCKS FIO-OPTION...: begins to write
    rm -f /tmp/stop
    stamp run "$DISK" "$1" "$2" "$3" "$4" "$5" /tmp/stop &
    writer=$!
    shift 5
    rounds "$@" &
    loader=$!
}

files() { # one file after the other on /mnt, each named when fsync has returned
    number=1
    while [ ! -e /tmp/stop ]; do
        yes "file $number" | head -n 1000 >/tmp/file
        dd if=/tmp/file of=/mnt/file-$number bs=64k conv=fsync 2>/tmp/file-error || {
            echo "BULKHEAD not-ok file $number: $(cat /tmp/file-error)"
            return 1
        }
        echo "BULKHEAD file $number"
        number=$((number + 1))
    done
}

unload() { # ends it; fails if either of the two failed
    : >/tmp/stop
    wait "$writer"
    result=$?
    wait "$loader" && [ $result = 0 ]
}

complaints() { # what the kernel's log holds against the disks; fails if there is anything
    ! dmesg | grep -E 'I/O error|EXT4-fs (error|warning)|is not a head|out of range|BUG:|WARNING:|blocked for more|Oops'
}

echo "BULKHEAD boot"
while read -r tag line; do
    eval "$line"
    echo "BULKHEAD done $tag $?"
done
