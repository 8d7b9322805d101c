/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inner gate: the program bulkhead-gate as its parent starts it (bulkhead/gate.h), one process for
 * each guest.
 */
#ifndef GATE_INNER_H
#define GATE_INNER_H

/* `argv` behind --control: [--sandbox best-effort|strict|off]. Returns the exit status:
 * 0  the parent closed the control socket
 * 1  it was not started as it must be, or something it needs is not there
 * 2  the arguments
 * 3  --sandbox strict, and the sandbox cannot be closed
 * 4  the parent broke the control protocol */
int bh_inner_main(int argc, char **argv);

#endif
