/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The error codes that every Bulkhead function returns: 0 or a positive count for success, one of
 * these negative codes for failure. They are Bulkhead's own, because the freestanding folders know
 * no errno; host code translates at its edge (bh_error_from_errno in host/).
 */
#ifndef BULKHEAD_ERROR_H
#define BULKHEAD_ERROR_H

enum {
    BH_OK = 0,
    BH_AGAIN = -1,    /* not now: a resource is used up or a drain goes on; try again after the next
                         completion */
    BH_DENIED = -2,   /* the address, right or operation is not allowed */
    BH_GONE = -3,     /* the memory, peer or resource existed and does not any more */
    BH_INVALID = -4,  /* an argument is out of its documented range */
    BH_PROTOCOL = -5, /* the other side broke the protocol */
    BH_LIMIT = -6,    /* longer, larger or more than the advertised limit */
    BH_STATE = -7,    /* not in this state */
    BH_IO = -8,       /* the resource reported an I/O error */
    BH_UNSUPPORTED = -9, /* known, and not offered here */
    BH_NO_SPACE = -10,   /* the resource is full */
    BH_NO_MEMORY = -11,  /* start-up allocation failed */
    BH_TIMEOUT = -12,    /* the other side did not answer in time */
};

/* The name of a code, for logs; never NULL. Any thread. */
static inline const char *bh_error_name(int error)
{
    switch (error) {
    case BH_OK:
        return "ok";
    case BH_AGAIN:
        return "again";
    case BH_DENIED:
        return "denied";
    case BH_GONE:
        return "gone";
    case BH_INVALID:
        return "invalid";
    case BH_PROTOCOL:
        return "protocol";
    case BH_LIMIT:
        return "limit";
    case BH_STATE:
        return "state";
    case BH_IO:
        return "io";
    case BH_UNSUPPORTED:
        return "unsupported";
    case BH_NO_SPACE:
        return "no-space";
    case BH_NO_MEMORY:
        return "no-memory";
    case BH_TIMEOUT:
        return "timeout";
    default:
        return "unknown";
    }
}

#endif
