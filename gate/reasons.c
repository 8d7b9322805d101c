/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate's words: names for logs and tables, and a sentence for people who read them. */
#include "bulkhead/gate_parent.h"

static const struct {
    const char *name;
    const char *text;
} reasons[BH_GATE_REASONS] = {
    [BH_GATE_REASON_NONE] = {"none", "nothing happened"},
    [BH_GATE_BACK_DIED] = {"back-end-died", "the back end closed its connection"},
    [BH_GATE_BACK_HUNG] = {"back-end-hung",
                           "the back end made no progress within its deadline, or did not answer"},
    [BH_GATE_BACK_LIED] = {"back-end-lied", "the back end broke the protocol of a ring"},
    [BH_GATE_BACK_REFUSED] = {"back-end-refused", "the back end sent what vhost-user, or the gate, "
                                                  "does not allow"},
    [BH_GATE_BACK_MISFIT] = {"back-end-misfit",
                             "the back end's features, queues or configuration are not what they "
                             "must be"},
    [BH_GATE_FRONT_REFUSED] = {"front-end-refused",
                               "the front end broke vhost-user, or shared what it must not"},
    [BH_GATE_FRONT_GONE] = {"front-end-gone", "the front end closed its connection"},
    [BH_GATE_GUEST_VIOLATION] = {"guest-violation", "the guest broke the protocol of a ring"},
    [BH_GATE_LIMIT_HIT] = {"limit-hit", "the guest asks for more than its limit"},
    [BH_GATE_RINGS_SHARED] =
        {"rings-shared", "the guest's rings lie in memory that the back end could map: data is "
                         "copied instead"},
    [BH_GATE_REPLACED] = {"replaced", "another back end took over"},
    [BH_GATE_GAVE_UP] = {"gave-up", "there is no back end any more: requests fail"},
    [BH_GATE_ADOPTED] = {"adopted", "a new gate took over the running guest"},
};

const char *bh_gate_reason_name(uint32_t reason)
{
    return reason < BH_GATE_REASONS ? reasons[reason].name : "unknown";
}

const char *bh_gate_reason_text(uint32_t reason)
{
    return reason < BH_GATE_REASONS ? reasons[reason].text : "something that has no name";
}

const char *bh_gate_state_name(uint32_t state)
{
    static const char *const names[] = {[BH_GATE_WAITING] = "waiting",
                                        [BH_GATE_SERVING] = "serving",
                                        [BH_GATE_REPLACING] = "replacing",
                                        [BH_GATE_FAILED] = "failed"};
    return state <= BH_GATE_FAILED ? names[state] : "unknown";
}

const char *bh_gate_mode_name(uint32_t mode)
{
    static const char *const names[] = {[BH_GATE_DIRECT] = "direct",
                                        [BH_GATE_SHADOW] = "shadow",
                                        [BH_GATE_BOUNCE] = "bounce",
                                        [BH_GATE_OPEN] = "open"};
    return mode <= BH_GATE_OPEN ? names[mode] : "unknown";
}
