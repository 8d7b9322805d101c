/* SPDX-License-Identifier: BSD-2-Clause */
/* Translates errno numbers. It knows nothing of where they come from. */
#include "bulkhead/host_error.h"

#include <errno.h>

int bh_error_from_errno(int number)
{
    switch (number) {
    case EAGAIN:
    case EBUSY:
    case EINTR:
        return BH_AGAIN;
    case EACCES:
    case EPERM:
    case EROFS:
        return BH_DENIED;
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ENOMEDIUM:
    case ECONNRESET:
    case ECONNREFUSED:
    case EPIPE:
    case EFAULT: /* memory that was there, and was taken away while the kernel used it */
        return BH_GONE;
    case EINVAL:
    case EBADF:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return BH_INVALID;
    case EMFILE:
    case ENFILE:
        return BH_LIMIT;
    case EOPNOTSUPP:
    case ENOSYS:
    case ENOTTY:
        return BH_UNSUPPORTED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return BH_NO_SPACE;
    case ENOMEM:
        return BH_NO_MEMORY;
    case ETIMEDOUT:
        return BH_TIMEOUT;
    default:
        return BH_IO;
    }
}
