/* SPDX-License-Identifier: BSD-2-Clause */
/* The layers of the sandbox (bulkhead/host_sandbox.h), one function each. Private to host/. */
#ifndef HOST_SANDBOX_H
#define HOST_SANDBOX_H

#include "bulkhead/host_sandbox.h"

/* Each returns 0, or the errno that keeps its layer open. */

/* host/sandbox_namespaces.c */
int bh_layer_identity(void);
int bh_layer_namespaces(void);
int bh_layer_root(void);

/* host/sandbox_seccomp.c. What is called after it must be on the list. */
int bh_layer_seccomp(const struct bh_sandbox_setup *setup);

#endif
