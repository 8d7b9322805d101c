#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The guest's only program: pid 1 on the ext4 root that lies on the disk under test.
#
# What it is: the checks that only a real driver can make.  Each prints one line on the console,
# "BULKHEAD ok NAME ..." or "BULKHEAD not-ok NAME ..."; the runner on the host knows which names
# must come (run_guest.py, reconnect.py).  What to expect is on the kernel's command line.
# What it is not: a judge.  A line that does not come is a failure, and the host decides that.

PATH=/bin:/sbin:/usr/bin:/usr/sbin
MIB=1048576
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
    [ "$2" = "$3" ]
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
    equal root-on-disk "$DISK / ext4" "$(awk '$2 == "/" && $3 == "ext4" {print $1, $2, $3}' /proc/mounts)"
    case $(readlink -f $SYS/device) in
    */pci*/virtio*) found=pci ;;
    */virtio-mmio*/virtio* | */*.virtio_mmio/virtio* | */LNRO0005:*/virtio*) found=mmio ;;
    *) found=$(readlink -f $SYS/device) ;;
    esac
    equal transport "$(setting transport)" "$found"
    features=$(cat $SYS/device/features)
    case $(echo "$features" | cut -c35) in
    1) found=packed ;;
    *) found=split ;;
    esac
    equal ring "$(setting ring)" "$found"
    equal queues "$(setting queues)" "$(ls $SYS/mq | wc -l)"
    equal serial "$(setting serial)" "$(cat $SYS/serial)"
    echo "BULKHEAD note features $features"
}

FIO="fio --output-format=normal --direct=1 --ioengine=libaio --iodepth=16 --verify_fatal=1
 --verify_state_save=0 --group_reporting --fallocate=none --randrepeat=0 --bs=4k-64k --size=12M"

# Four writers at once; each reads its data back and checks it.
check_fio() {
    # shellcheck disable=SC2086
    run fio-verify $FIO --directory=/data --verify=crc32c --do_verify=1 --rw=randwrite \
        --name=aio1 --name=aio2 --rw=randrw --name=uring1 --ioengine=io_uring --name=uring2 \
        --ioengine=io_uring --rw=write
    # shellcheck disable=SC2086
    run fio-fsync $FIO --directory=/data --verify=crc32c --do_verify=1 --rw=randwrite --size=2M \
        --bs=4k --iodepth=4 --fsync=8 --name=sync1 --name=sync2 --fdatasync=4
    # shellcheck disable=SC2086
    run fio-raw $FIO --filename=$DISK --allow_mounted_write=1 --offset=$RAW --size=16M \
        --verify=crc32c --do_verify=1 --rw=randwrite --bs=512-256k --name=raw
    # Every queue must have carried requests.
    mount -t debugfs debugfs /sys/kernel/debug
    idle=0
    counts=
    for cpu in /sys/kernel/debug/block/vda/hctx*/cpu*; do
        [ -e "$cpu" ] || idle=1
    done
    for queue in /sys/kernel/debug/block/vda/hctx*; do
        sum=$(cat "$queue"/cpu*/merged "$queue"/dispatched 2>/dev/null | awk '{n += $NF} END {print n + 0}')
        counts="$counts $sum"
    done
    echo "BULKHEAD note queues$counts"
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

# NAME OFFSET COMMAND...: of 4 MiB of pattern the command clears the middle 2 MiB
check_cleared() {
    name=$1
    at=$2
    shift 2
    pattern $at $((4 * MIB))
    sum $at $((4 * MIB)) 245 || report 1 "$name" "the pattern does not read back"
    "$@" -o $((at + MIB)) -l $((2 * MIB)) $DISK 2>/tmp/output || {
        report 1 "$name" "$(cat /tmp/output)"
        return
    }
    sum $((at + MIB)) $((2 * MIB)) 000 && sum $at $MIB 245 && sum $((at + 3 * MIB)) $MIB 245
    report $? "$name" "the middle reads as zeros, its neighbours are untouched"
}

check_clearing() {
    before=$(awk '{print $12}' $SYS/stat)
    rm -rf /data/*
    forget
    run fstrim fstrim -v /
    echo "BULKHEAD note $(cat /tmp/output)"
    after=$(awk '{print $12}' $SYS/stat)
    [ "$after" -gt "$before" ]
    report $? fstrim-reached-disk "$((after - before)) discards"
    [ "$(cat $SYS/queue/write_zeroes_max_bytes)" -gt 0 ]
    report $? write-zeroes-offered
    check_cleared discard $((RAW + 32 * MIB)) blkdiscard -f
    check_cleared write-zeroes $((RAW + 40 * MIB)) blkdiscard -f -z
    check_cleared write-zeroes-unmap $((RAW + 48 * MIB)) fallocate -p
}

check_cache_toggle() {
    equal cache-before "write back" "$(cat $SYS/cache_type)"
    echo "write through" >$SYS/cache_type
    equal cache-through "write through" "$(cat $SYS/cache_type)"
    flushes=$(awk '{print $16}' $SYS/stat)
    # shellcheck disable=SC2086
    run fio-through $FIO --directory=/data --verify=crc32c --do_verify=1 --rw=randwrite --size=1M \
        --bs=4k --fsync=4 --name=through
    equal cache-through-sends-no-flush "$flushes" "$(awk '{print $16}' $SYS/stat)"
    echo "write back" >$SYS/cache_type
    equal cache-after "write back" "$(cat $SYS/cache_type)"
    dd if=/dev/zero of=/data/flushed bs=4096 count=1 conv=fsync 2>/dev/null
    [ "$(awk '{print $16}' $SYS/stat)" -gt "$flushes" ]
    report $? cache-back-sends-flush
}

# A file that the host finds again in the image after the guest is gone.
leave_a_file() {
    head -c $((3 * MIB + 123)) /dev/urandom >/left-behind
    sync
    echo "BULKHEAD note left-behind $(sha256sum </left-behind | cut -d' ' -f1)"
}

check_kernel() {
    dmesg >/tmp/dmesg
    complaints=$(grep -E 'I/O error|EXT4-fs (error|warning)|is not a head|out of range|BUG|WARNING:|blocked for more|Oops' /tmp/dmesg)
    [ -z "$complaints" ]
    report $? kernel-log-clean "$complaints"
}

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
mkdir -p /data

check_device
case $(setting mode) in
checks)
    check_fio
    check_clearing
    check_cache_toggle
    leave_a_file
    ;;
esac
check_kernel
sync
mount -o remount,ro /
echo "BULKHEAD end"
poweroff -f
