#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Pid 1 of the example's guests: busybox's shell on a small Debian-made root.
#
# What it is: mounts what programs expect, counts the boots of this disk in /var/boots, says on the
# console that the guest is ready, keeps a shell there, and shuts down in order when the power key
# is pressed or somebody types `poweroff` (SIGUSR2), `reboot` (SIGTERM) or `halt` (SIGUSR1).
# What it is not: a service manager.  A guest of your own brings its own init.

# Until /proc is there, the shell finds no other of busybox's commands.
/bin/busybox mount -t proc proc /proc
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=linux
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null # the kernel may have done that
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /dev/shm
mount -t tmpfs tmp /run
mount -t tmpfs tmp /tmp
exec </dev/null >/dev/console 2>&1

# fio's libraries reserve more memory than a small guest has, and never touch it.
echo 1 >/proc/sys/vm/overcommit_memory
name=$(cat /etc/hostname)
hostname "$name"
console=/dev/$(sed 's/.* //' /sys/class/tty/console/active)

others() { # whether a program runs beside this one; a kernel thread has no /proc/PID/exe
    for exe in /proc/[0-9]*/exe; do
        [ "$exe" != /proc/1/exe ] && [ -e "$exe" ] && return 0
    done
    return 1
}

stop() { # COMMAND: what the machine does in the end
    trap '' USR1 USR2 TERM
    echo "$name: stopping"
    # Nobody but pid 1 is left out.  A shell on a terminal goes by the first, the others by the second.
    kill -HUP -1
    kill -TERM -1
    left=20
    while [ $left -gt 0 ] && others; do
        usleep 100000
        left=$((left - 1))
    done
    kill -KILL -1
    sync
    mount -o remount,ro / 2>/dev/null
    "$1" -f
}
trap 'stop halt' USR1
trap 'stop poweroff' USR2
trap 'stop reboot' TERM

# The power key; a machine without one just has no such daemon.
[ ! -e /dev/input/event0 ] || acpid -l /dev/null -p /run/acpid.pid

boots=1
if touch /var/boots.new 2>/dev/null; then # not on a disk that is read-only
    [ ! -e /var/boots ] || boots=$(($(cat /var/boots) + 1))
    echo $boots >/var/boots.new
    mv /var/boots.new /var/boots
    sync
fi
read -r uptime _ </proc/uptime
echo "$name: ready, boot $boots of this disk, $uptime s after the kernel's start"

while :; do
    # The first terminal that a new session opens is its own: Ctrl-C works in the shell.
    setsid sh -c "exec sh -l <$console >$console 2>&1" &
    # A signal ends this wait, and then its trap runs.
    wait $!
done
