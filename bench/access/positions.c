/* SPDX-License-Identifier: BSD-3-Clause */
#include "access/positions.h"

#define POSITION(name, seed, text, facts, device, driver, agreed) \
    {#name, seed, text, facts, device, driver, agreed},

static const struct access_position positions[] = {
#include "access/position_rows.h"
};

const struct access_position *access_position_at(size_t index)
{
    return index < sizeof(positions) / sizeof(positions[0]) ? &positions[index] : NULL;
}
