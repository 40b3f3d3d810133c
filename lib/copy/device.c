/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/copy_device.h"

#include "access.h"
#include "virtq/error.h"

/* The context is the set of widths itself: there is nothing to own. */
static uint32_t widths_of(void *context)
{
    return (uint32_t)(uintptr_t)context;
}

static void device_to_shared(void *context, void *to, const void *from, size_t len)
{
    (void)virtq_priv_access_copy_to(to, from, len, widths_of(context));
}

static void device_from_shared(void *context, void *to, const void *from, size_t len)
{
    size_t left = virtq_priv_access_copy_from(to, from, len, widths_of(context));

    if (left != 0) {
        memset((unsigned char *)to + (len - left), 0, left);
    }
}

static void device_zero(void *context, void *to, size_t len)
{
    (void)virtq_priv_access_copy_to(to, NULL, len, widths_of(context));
}

static void device_done(void *context)
{
    (void)context;
    virtq_priv_access_flush();
}

/* The widths that count, or an error. */
static int usable(uint32_t widths)
{
    if (widths == 0 || widths > 15) {
        return VIRTQ_EINVAL;
    }
    /* An access of 8 bytes would become two of 4, which may not be allowed. */
    widths &= VIRTQ_PRIV_WIDTHS;
    return widths != 0 ? (int)widths : VIRTQ_ENOTSUP;
}

int virtq_copy_device(struct virtq_copy *copy, uint32_t widths)
{
    int set = usable(widths);

    if (set < 0) {
        return set;
    }
    *copy = (struct virtq_copy){device_to_shared, device_from_shared, device_zero, device_done,
                                (void *)(uintptr_t)set};
    return 0;
}

/* The narrowest width covers whatever is a multiple of it, and nothing else can be covered. */
int virtq_copy_device_fits(uint32_t widths, uint64_t at, uint64_t len)
{
    int set = usable(widths);
    uint64_t least;

    if (set < 0) {
        return set;
    }
    least = (uint64_t)(set & -set);
    return ((at | len) & (least - 1)) == 0 ? 0 : VIRTQ_EINVAL;
}
