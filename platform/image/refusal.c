/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Refusals: a reason has a word for machines and an error code; the text for people is whoever's
 * who refuses.
 */
#include <stdarg.h>
#include <stdio.h>

#include "bulkhead/error.h"
#include "image.h"

static const struct {
    const char *name;
    int code;
} reasons[BH_IMAGE_REASONS] = {
    [BH_IMAGE_NOT_REFUSED] = {"not-refused", BH_OK},
    [BH_IMAGE_HOST] = {"host", BH_IO},
    [BH_IMAGE_NOT_AN_IMAGE] = {"not-an-image", BH_INVALID},
    [BH_IMAGE_OTHER_FORMAT] = {"other-format", BH_UNSUPPORTED},
    [BH_IMAGE_TRUNCATED] = {"truncated", BH_PROTOCOL},
    [BH_IMAGE_TRAILING] = {"trailing-bytes", BH_PROTOCOL},
    [BH_IMAGE_NO_KEYS] = {"no-keys", BH_STATE},
    [BH_IMAGE_BAD_KEY] = {"bad-key", BH_INVALID},
    [BH_IMAGE_FOREIGN] = {"foreign", BH_DENIED},
    [BH_IMAGE_BAD_SIGNATURE] = {"tampered", BH_DENIED},
    [BH_IMAGE_MALFORMED] = {"malformed", BH_PROTOCOL},
    [BH_IMAGE_BAD_SECTION] = {"tampered-section", BH_DENIED},
    [BH_IMAGE_BAD_PADDING] = {"tampered-padding", BH_DENIED},
    [BH_IMAGE_OLDER] = {"older", BH_DENIED},
    [BH_IMAGE_BAD_CONTENT] = {"bad-content", BH_INVALID},
};

const char *bh_image_reason_name(enum bh_image_reason reason)
{
    return (unsigned int)reason < BH_IMAGE_REASONS ? reasons[reason].name : "unknown";
}

int bh_image_refuse(struct bh_image_refusal *refusal, enum bh_image_reason reason,
                    const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    refusal->reason = reason;
    (void)vsnprintf(refusal->text, sizeof(refusal->text), format, arguments);
    va_end(arguments);
    return reasons[reason].code;
}

int bh_image_refuse_host(struct bh_image_refusal *refusal, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    refusal->reason = BH_IMAGE_HOST;
    (void)vsnprintf(refusal->text, sizeof(refusal->text), format, arguments);
    va_end(arguments);
    return code;
}

int bh_image_refuse_memory(struct bh_image_refusal *refusal)
{
    return bh_image_refuse_host(refusal, BH_NO_MEMORY, "no memory; end other programs");
}
