/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a notification is due. Each index or descriptor passed since the last test is visited and
 * compared with the armed one, as the prose tells it; there is no arithmetic to get wrong.
 */
#include "reference_private.h"

struct reference_position reference_position_next(struct reference_position position, uint32_t size)
{
    if (position.index == size - 1) {
        return (struct reference_position){0, !position.wrap};
    }
    position.index++;
    return position;
}

struct reference_position reference_position_advance(struct reference_position position,
                                                     uint32_t size, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        position = reference_position_next(position, size);
    }
    return position;
}

struct reference_position reference_position_start(uint32_t size, uint32_t passed)
{
    struct reference_position birth = {0, true};

    return reference_position_advance(birth, size, passed);
}

bool reference_split_event(uint16_t event, uint16_t old_index, uint16_t new_index)
{
    for (uint16_t written = old_index; written != new_index; written++) {
        if (written == event) {
            return true;
        }
    }
    return false;
}

bool reference_packed_event(uint16_t off_wrap, uint32_t size, struct reference_position old,
                            uint32_t count)
{
    uint16_t armed_index = off_wrap & 0x7fff;
    bool armed_wrap = (off_wrap & 0x8000) != 0;

    if (armed_index >= size) {
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (old.index == armed_index && old.wrap == armed_wrap) {
            return true;
        }
        old = reference_position_next(old, size);
    }
    return false;
}

/*
 * "Used Buffer Notification Suppression" and "Available Buffer Notification Suppression". The loads
 * come after the sequentially consistent store of the index, which is the barrier asked for before
 * reading flags or event.
 */
bool reference_split_wanted(const struct reference_config *config, const unsigned char *flags,
                            const unsigned char *event, uint16_t old_index, uint16_t new_index,
                            uint32_t count, const char **violation)
{
    uint16_t flags_now = reference_load16(flags, config->big_endian);

    if (config->event_idx && flags_now != 0) {
        reference_violate(violation, "flags are not 0 although EVENT_IDX was negotiated");
    }
    if (!config->event_idx && flags_now > 1) {
        reference_violate(violation, "flags are neither 0 nor 1");
    }
    if (count == 0) {
        return false;
    }
    if (!config->event_idx) {
        return (flags_now & 1) == 0;
    }
    /* 65536 entries and more pass every index there is. */
    if (count > UINT16_MAX) {
        return true;
    }
    return reference_split_event(reference_load16(event, config->big_endian), old_index, new_index);
}

/* "Driver and Device Event Suppression": `desc` is at offset 0 and `flags` at offset 2; flags are
 * read first, for the peer writes them last. */
bool reference_packed_wanted(const struct reference_config *config, const unsigned char *structure,
                             struct reference_position old, uint32_t count, const char **violation)
{
    uint16_t flags = reference_load16(structure + 2, false);
    uint16_t off_wrap = reference_load16(structure, false);

    if ((flags & ~3) != 0) {
        reference_violate(violation, "reserved bits are set in event suppression flags");
    }
    flags &= 3;
    if (flags == 3) {
        reference_violate(violation, "event suppression flags have the reserved value 3");
    }
    if (flags == REFERENCE_DESC && !config->event_idx) {
        reference_violate(violation, "descriptor event although EVENT_IDX was not negotiated");
    }
    if (count == 0 || flags == REFERENCE_DISABLE) {
        return false;
    }
    if (flags != REFERENCE_DESC || !config->event_idx) {
        return true;
    }
    return reference_packed_event(off_wrap, config->size, old, count);
}

void reference_packed_arm(unsigned char *structure, uint16_t flags,
                          struct reference_position position)
{
    uint16_t off_wrap = (uint16_t)(position.index | (position.wrap ? 0x8000 : 0));

    reference_store16(structure, off_wrap, false);
    reference_store16(structure + 2, flags, false);
}
