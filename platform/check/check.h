/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks that need more than one key, as check.c's table names them, and what they share.
 * Private to platform/.
 */
#ifndef PLATFORM_CHECK_H
#define PLATFORM_CHECK_H

#include "platform/definition/index.h"
#include "platform/definition/reader.h"
#include "platform/definition/text.h"

typedef void bh_check_function(struct bh_reader *reader, struct bh_platform *platform);

/* check_names.c, check_reference.c: fill in what words mean, which all others read. */
bh_check_function bh_check_duplicate_name;
bh_check_function bh_check_mode;
bh_check_function bh_check_reference;

/* check_boot.c */
bh_check_function bh_check_boot;
bh_check_function bh_check_boot_disk;
bh_check_function bh_check_layout;

/* check_isolation.c; the first fills in the defaults that depend on how a guest boots. */
bh_check_function bh_check_isolation;
bh_check_function bh_check_open_mixed;
bh_check_function bh_check_bounce_mixed;
bh_check_function bh_check_open_criticality;

/* check_limits.c */
bh_check_function bh_check_limits_direct;
bh_check_function bh_check_deadline;
bh_check_function bh_check_detach_root;

/* check_engine.c; the first marks the devices that are left out. */
bh_check_function bh_check_engine_device;
bh_check_function bh_check_engine_watchdog;

/* check_policy.c; the first two fill in what a line allows and denies. */
bh_check_function bh_check_policy_operation;
bh_check_function bh_check_policy_empty;
bh_check_function bh_check_policy_numbers;
bh_check_function bh_check_policy_read_only;

/* check_policy_use.c */
bh_check_function bh_check_policy_missing;
bh_check_function bh_check_policy_unused;
bh_check_function bh_check_policy_deny;
bh_check_function bh_check_policy_ranges;
bh_check_function bh_check_policy_discard;

/* check_resources.c */
bh_check_function bh_check_resource_type;
bh_check_function bh_check_resource_unused;
bh_check_function bh_check_image_twice;
bh_check_function bh_check_hardware_dma;

/* check_shared.c */
bh_check_function bh_check_resource_shared;
bh_check_function bh_check_hardware_shared;
bh_check_function bh_check_criticality_shared;

/* check_devices.c */
bh_check_function bh_check_mac;
bh_check_function bh_check_cid;
bh_check_function bh_check_fs_tag;
bh_check_function bh_check_serial;

/* check_machine.c */
bh_check_function bh_check_slot_twice;
bh_check_function bh_check_register_page;
bh_check_function bh_check_register_overlap;
bh_check_function bh_check_interrupt;

/* check_start.c */
bh_check_function bh_check_after;
bh_check_function bh_check_ready_when;
bh_check_function bh_check_after_never;

/* check_assertions.c */
bh_check_function bh_check_assertion;

/* check_host.c */
bh_check_function bh_check_host_memory;
bh_check_function bh_check_host_memory_tight;
bh_check_function bh_check_host_cpus;
bh_check_function bh_check_cpus_few;
bh_check_function bh_check_cpus_many;
bh_check_function bh_check_cpu_shared;

/* Why no device of the guest can keep to a window, so that all are bounce or open; NULL: each can
 * (check_boot.c). */
const char *bh_check_why_open(const struct bh_guest *guest);

/* ------------------------------------------------------------------------ shared (check_each.c) */

typedef void bh_guest_function(struct bh_reader *reader, struct bh_guest *guest);
typedef void bh_device_function(struct bh_reader *reader, struct bh_guest *guest,
                                struct bh_device_definition *device);

/* Calls for each guest, for each device, in the order of the definition. */
void bh_each_guest(struct bh_reader *reader, struct bh_platform *platform,
                   bh_guest_function *function);
void bh_each_device(struct bh_reader *reader, struct bh_platform *platform,
                    bh_device_function *function);

/* Names for suggestions: of a const struct bh_platform (guests; resources; both), of a const struct
 * bh_guest, of a const struct bh_names. */
const char *bh_word_guest(const void *platform, size_t index);
const char *bh_word_resource(const void *platform, size_t index);
const char *bh_word_node(const void *platform, size_t index);
const char *bh_word_device(const void *guest, size_t index);
const char *bh_word_name(const void *names, size_t index);

/* What was probably meant, or NULL. Where there are so many errors that nobody is shown another,
 * nothing is looked for. */
const char *bh_check_suggest(const struct bh_reader *reader, const char *word, bh_words words,
                             const void *context);

/* "there is no WHAT NAME", and the name that was meant, or else what to do (check reference). */
void bh_check_say_unknown(const struct bh_reader *reader, const struct bh_text *name,
                          const char *what, bh_words words, const void *context,
                          const char *otherwise);

/* Whether a device has something to do with memory by way of a back end: not one that is passed
 * through. */
bool bh_check_has_backend(const struct bh_device_definition *device);

/* What a device may do with its resource in any mode; 0: it has none. */
uint32_t bh_check_operations(const struct bh_platform *platform, const struct bh_use *use);

#endif
