/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's part of the vsock test: connects to a port of the host and sends back so many bytes of what comes.
 *
 *     vsock_echo PORT BYTES
 *
 * Not here: whether it is the same; the host knows (third_party.py).
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static int complain(const char *what)
{
    printf("BULKHEAD not-ok vsock_echo %s: %s\n", what, strerror(errno));
    return 1;
}

int main(int count, char **arguments)
{
    static uint8_t data[65536];
    struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST};
    uint64_t left = count == 3 ? strtoull(arguments[2], NULL, 0) : 0;
    int line = socket(AF_VSOCK, SOCK_STREAM, 0);
    host.svm_port = count == 3 ? (unsigned)strtoul(arguments[1], NULL, 0) : 0;
    if (line < 0 || connect(line, (const struct sockaddr *)&host, sizeof(host)) != 0) {
        return complain("connect");
    }
    while (left > 0) {
        ssize_t size = read(line, data, sizeof(data));
        if (size <= 0) {
            return complain("read");
        }
        for (ssize_t at = 0, sent; at < size; at += sent) {
            sent = write(line, data + at, (size_t)(size - at));
            if (sent < 0) {
                return complain("write");
            }
        }
        left -= (uint64_t)size;
    }
    return 0;
}
