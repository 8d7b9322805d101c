#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The guest's only program: pid 1 on the ext4 root that lies on the disk under test.
#
# What it is: the checks that only a real driver can make.  Each prints one line on the console,
# "BULKHEAD ok NAME ..." or "BULKHEAD not-ok NAME ..."; the runner on the host knows which names
# must come (run_guest.py, reconnect.py).  What to expect is on the kernel's command line.
# What it is not: a judge.  A line that does not come is a failure, and the host decides that.

# $FIO is meant to be split into words; numbers and the writers' names need no quotes.
# shellcheck disable=SC2046,SC2086

PATH=/bin:/sbin:/usr/bin:/usr/sbin
MIB=1048576
QUARTER=$((MIB / 4))
DISK=/dev/vda
SYS=/sys/block/vda
RAW=$((320 * MIB)) # behind the file system (make_guest.py)

exec </dev/null >/dev/console 2>&1

setting() { # NAME: its value on the kernel's command line
    sed -n "s/.*bulkhead\.$1=\([^ ]*\).*/\1/p" /proc/cmdline
}

report() { # RESULT NAME TEXT: RESULT is 0 for success
    if [ "$1" = 0 ]; then
        echo "BULKHEAD ok $2 $3"
    else
        echo "BULKHEAD not-ok $2 $3"
    fi
}

equal() { # NAME WANTED FOUND
    [ -n "$2" ] && [ "$2" = "$3" ]
    report $? "$1" "wanted '$2', found '$3'"
}

run() { # NAME COMMAND...: what it printed follows if it failed
    name=$1
    shift
    "$@" >/tmp/output 2>&1
    result=$?
    report $result "$name"
    [ $result = 0 ] || sed 's/^/  /' /tmp/output
}

forget() { # the page cache, so that the next read reaches the disk
    sync
    echo 3 >/proc/sys/vm/drop_caches
}

check_device() {
    root=$(awk '$2 == "/" && $3 == "ext4" {print $1, $2, $3}' /proc/mounts)
    equal root-on-disk "$DISK / ext4" "$root"
    case $(readlink -f $SYS/device) in
    */pci*/virtio*) found=pci ;;
    */virtio-mmio*/virtio* | */*.virtio_mmio/virtio* | */LNRO0005:*/virtio*) found=mmio ;;
    *) found=$(readlink -f $SYS/device) ;;
    esac
    equal transport "$(setting transport)" "$found"
    features=$(cat $SYS/device/features)
    case $(echo "$features" | cut -c35) in
    1) found=packed ;;
    *) found="split" ;;
    esac
    equal ring "$(setting ring)" "$found"
    equal queues "$(setting queues)" "$(set -- $SYS/mq/* && echo $#)"
    equal serial "$(setting serial)" "$(cat $SYS/serial)"
    echo "BULKHEAD note features $features"
}

FIO="fio --output-format=normal --direct=1 --ioengine=libaio --iodepth=16 --verify_fatal=1
 --verify_state_save=0 --group_reporting --fallocate=none --randrepeat=0 --bsrange=4k-64k
 --size=16M"

cpu_of() { # NUMBER: a processor whose requests go to that queue, counted around
    head -n 1 $SYS/mq/$(($1 % $(setting queues)))/cpu_list | cut -d, -f1
}

# Four writers at once, each bound to one queue; each reads its data back and checks it.
check_fio() {
    run fio-verify $FIO --directory=/data --verify=crc32c --do_verify=1 --rw=randwrite \
        --name=aio1 --cpus_allowed=$(cpu_of 0) \
        --name=aio2 --cpus_allowed=$(cpu_of 1) --bsrange=512-16k --size=4M \
        --name=uring1 --cpus_allowed=$(cpu_of 2) --ioengine=io_uring \
        --name=uring2 --cpus_allowed=$(cpu_of 3) --ioengine=io_uring --rw=write
    run fio-fsync $FIO --directory=/data --verify=crc32c --do_verify=1 --rw=randwrite --size=2M \
        --bs=4k --iodepth=4 --fsync=8 --name=sync1 --name=sync2 --fdatasync=4
    run fio-raw $FIO --filename=$DISK --allow_mounted_write=1 --offset=$RAW --size=16M \
        --verify=crc32c --do_verify=1 --rw=randwrite --bsrange=4k-256k --name=raw
}

pattern() { # OFFSET LENGTH: fills that part of the disk with 0xa5
    head -c $2 /dev/zero | tr '\000' '\245' |
        dd of=$DISK bs=$MIB seek=$1 oflag=seek_bytes conv=notrunc,fsync iflag=fullblock 2>/dev/null
}

sum() { # OFFSET LENGTH BYTE: the part holds nothing else
    forget
    wanted=$(head -c $2 /dev/zero | tr '\000' "\\$3" | md5sum)
    found=$(dd if=$DISK bs=$MIB skip=$1 count=$2 iflag=skip_bytes,count_bytes 2>/dev/null | md5sum)
    [ "$wanted" = "$found" ]
}

# busybox's own commands of these names know neither -f, -z nor -p.
#
# NAME OFFSET COMMAND...: of 1 MiB of pattern the command clears the middle half
check_cleared() {
    name=$1
    at=$2
    shift 2
    pattern $at $MIB
    sum $at $MIB 245 || report 1 "$name" "the pattern does not read back"
    "$@" -o $((at + QUARTER)) -l $((2 * QUARTER)) $DISK 2>/tmp/output || {
        report 1 "$name" "$(cat /tmp/output)"
        return
    }
    sum $((at + QUARTER)) $((2 * QUARTER)) 000 && sum $at $QUARTER 245 &&
        sum $((at + 3 * QUARTER)) $QUARTER 245
    report $? "$name" "the middle reads as zeros, its neighbours are untouched"
}

check_clearing() {
    before=$(awk '{print $12}' $SYS/stat)
    rm -rf /data/*
    forget
    run fstrim fstrim -v /
    echo "BULKHEAD note fstrim $(cat /tmp/output)"
    after=$(awk '{print $12}' $SYS/stat)
    [ "$after" -gt "$before" ]
    report $? fstrim-reached-disk "$((after - before)) discards"
    [ "$(cat $SYS/queue/write_zeroes_max_bytes)" -gt 0 ]
    report $? write-zeroes-offered
    check_cleared discard $((RAW + 32 * MIB)) /sbin/blkdiscard -f
    check_cleared write-zeroes $((RAW + 40 * MIB)) /sbin/blkdiscard -f -z
    check_cleared write-zeroes-unmap $((RAW + 48 * MIB)) /usr/bin/fallocate -p
}

check_cache_toggle() {
    equal cache-before "write $(setting cache)" "$(cat $SYS/cache_type)"
    echo "write through" >$SYS/cache_type
    equal cache-through "write through" "$(cat $SYS/cache_type)"
    flushes=$(awk '{print $16}' $SYS/stat)
    run fio-through $FIO --directory=/data --verify=crc32c --do_verify=1 --rw=randwrite --size=1M \
        --bs=4k --fsync=4 --name=through
    equal cache-through-sends-no-flush "$flushes" "$(awk '{print $16}' $SYS/stat)"
    echo "write back" >$SYS/cache_type
    equal cache-after "write back" "$(cat $SYS/cache_type)"
    dd if=/dev/zero of=/data/flushed bs=4096 count=1 conv=fsync 2>/dev/null
    [ "$(awk '{print $16}' $SYS/stat)" -gt "$flushes" ]
    report $? cache-back-sends-flush
}

# A disk that is read-only says so, lets itself be read, and refuses the rest.
check_read_only() {
    equal read-only 1 "$(cat $SYS/ro)"
    run fio-read $FIO --filename=$DISK --readonly --rw=randread --size=64M --name=read
    ! dd if=/dev/zero of=$DISK bs=4096 seek=$((RAW / 4096)) count=1 conv=notrunc,fsync 2>/dev/null
    report $? write-refused
    ! mount -o remount,rw / 2>/dev/null
    report $? remount-refused
}

# A disk that writes through does not let the guest choose otherwise.
check_write_through() {
    before=$(cat $SYS/cache_type)
    ! (echo "write back" >$SYS/cache_type) 2>/dev/null
    report $? write-back-refused
    equal cache-unchanged "$before" "$(cat $SYS/cache_type)"
    run fio-through $FIO --directory=/data --verify=crc32c --do_verify=1 --rw=randwrite --size=2M \
        --bs=4k --fsync=4 --name=through
}

# One writer: record after record, each said to be durable only after fsync.  The host compares
# the file in the image with what was said (reconnect.py knows the records' form too).
acknowledge() { # WRITER
    record=0
    while [ ! -e /tmp/stop ]; do
        yes "$1-$record" | head -c 4096 | dd of=/acks/$1 bs=4096 seek=$record oflag=direct \
            iflag=fullblock conv=notrunc,fsync 2>/tmp/output-$1 || {
            report 1 writers "writer $1, record $record: $(cat /tmp/output-$1)"
            return
        }
        echo "BULKHEAD ack $1 $record"
        record=$((record + 1))
    done
}

# Load beside the writers, so that many requests are in flight when the back end dies.
load() { # NAME OPTION...: fio, until the host says "stop"
    name=$1
    shift
    rounds=0
    while [ ! -e /tmp/stop ]; do
        $FIO "$@" >/tmp/output-$name 2>&1 || {
            report 1 $name "round $rounds"
            sed 's/^/  /' /tmp/output-$name
            return
        }
        rounds=$((rounds + 1))
    done
    report 0 $name "$rounds rounds"
}

# Until the host says "stop" on the console.
check_restarts() {
    stty -echo </dev/console
    mkdir /acks
    for writer in a b c d; do
        acknowledge $writer &
    done
    load load-writes --directory=/data --verify=crc32c --do_verify=1 --rw=randwrite --name=one \
        --size=4M --name=two --ioengine=io_uring --size=1M --bs=4k --fdatasync=1 &
    load load-reads --filename=$DISK --readonly --rw=randread --bs=4k --size=4M --name=three &
    while read -r word; do
        [ "$word" = stop ] && break
    done </dev/console
    : >/tmp/stop
    wait
    report 0 writers
}

# A file that the host finds again in the image after the guest is gone.
leave_a_file() {
    head -c $((3 * MIB + 123)) /dev/urandom >/left-behind
    sync
    echo "BULKHEAD note left-behind $(sha256sum </left-behind | cut -d' ' -f1)"
}

check_kernel() {
    ours='I/O error|EXT4-fs (error|warning)|is not a head|out of range'
    any='BUG:|WARNING:|blocked for more|Oops'
    complaints=$(dmesg | grep -E "$ours|$any")
    [ -z "$complaints" ]
    report $? kernel-log-clean "$complaints"
}

# Until /proc is there, the shell finds no other of busybox's commands.
/bin/busybox mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp

check_device
case $(setting mode) in
checks)
    mkdir /data
    check_fio
    check_clearing
    check_cache_toggle
    leave_a_file
    ;;
read-only)
    check_read_only
    ;;
write-through)
    mkdir /data
    check_write_through
    leave_a_file
    ;;
restarts | restarts-through)
    mkdir /data
    check_restarts
    ;;
esac
check_kernel
sync
mount -o remount,ro /
echo "BULKHEAD end"
poweroff -f
