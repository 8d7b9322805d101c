/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of a process: one line for each message, to standard error; with the journal's priority
 * prefixes when the journal listens there. It never waits: a line that the reader has no room for
 * is dropped and counted, so that a full pipe cannot stop a device.
 *
 * Thread: the one that runs the loop. There is one log in a process.
 */
#ifndef BULKHEAD_HOST_LOG_H
#define BULKHEAD_HOST_LOG_H

/* The numbers are those of syslog and of the journal's prefixes. */
enum bh_log_level {
    BH_LOG_ERROR = 3,   /* something does not work */
    BH_LOG_WARNING = 4, /* something works less well, or a guest misbehaves */
    BH_LOG_NOTICE = 5,  /* worth knowing in normal operation */
    BH_LOG_INFO = 6,
};

#define BH_LOG_LINE_MAX     480u /* bytes of a message; a longer one is cut */
#define BH_LOG_EVENT_BURST  32u  /* event lines at once ... */
#define BH_LOG_EVENT_PERIOD 5u   /* ... and one more every so many seconds */

/* Names the process (static text) and drops what is less urgent than `least`. Before the first call
 * the name is "bulkhead" and everything down to BH_LOG_NOTICE is shown. */
void bh_log_open(const char *name, enum bh_log_level least);

/* Something that this program did or that its starter caused. Control characters are shown as '?'.
 */
void bh_log(enum bh_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something that a guest or a peer can cause as often as it likes: limited, so that nobody fills
 * the host's disk with it. The next line that passes is preceded by the number of lines left out.
 */
void bh_log_event(enum bh_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
