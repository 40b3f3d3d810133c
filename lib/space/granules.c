/* SPDX-License-Identifier: BSD-3-Clause */
#include "granules.h"

#include <string.h>

#include "lock.h"
#include "virtq/error.h"

/* The number of the lowest bit that is set. By hand: the builtin is a call into libgcc on some
 * processors. */
static unsigned lowest(uint64_t word)
{
    unsigned at = 0;
    unsigned half;

    for (half = 32; half != 0; half /= 2) {
        uint64_t mask = ((uint64_t)1 << half) - 1;

        if ((word & mask) == 0) {
            word >>= half;
            at += half;
        }
    }
    return at;
}

/* The first bit in [from, to) that is set in `bits` ^ `flip`; `to` if there is none. */
static uint64_t next(const uint64_t *bits, uint64_t flip, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t word = (bits[from / 64] ^ flip) >> (from % 64);

        if (word != 0) {
            uint64_t at = from + lowest(word);

            return at < to ? at : to;
        }
        from = (from | 63) + 1;
    }
    return to;
}

static uint64_t next_taken(const struct virtq_granules *granules, uint64_t from, uint64_t to)
{
    return next(granules->used, 0, from, to);
}

static uint64_t next_free(const struct virtq_granules *granules, uint64_t from, uint64_t to)
{
    return next(granules->used, ~(uint64_t)0, from, to);
}

static void flip(uint64_t *bits, uint64_t from, uint64_t number)
{
    while (number != 0) {
        uint64_t offset = from % 64;
        uint64_t some = number < 64 - offset ? number : 64 - offset;

        bits[from / 64] ^= (~(uint64_t)0 >> (64 - some)) << offset;
        from += some;
        number -= some;
    }
}

bool virtq_priv_granule_legal(uint32_t granule, uint32_t least, uint32_t most)
{
    return granule >= least && granule <= most && (granule & (granule - 1)) == 0;
}

static uint64_t words_of(uint64_t count)
{
    return count / 64 + (count % 64 != 0);
}

size_t virtq_priv_granules_size(uint64_t size, uint32_t granule)
{
    /* A shift: a division of 64 bits is a call into libgcc on 32-bit processors. */
    uint64_t words = words_of(size >> lowest(granule));
    const uint64_t pair = 2 * sizeof(uint64_t);

    return words <= SIZE_MAX / pair ? (size_t)(words * pair) : 0;
}

void virtq_priv_granules_init(struct virtq_granules *granules, uint64_t size, uint32_t granule,
                              void *memory)
{
    memset(granules, 0, sizeof(*granules));
    memset(memory, 0, virtq_priv_granules_size(size, granule));
    granules->shift = lowest(granule);
    granules->count = size >> granules->shift;
    granules->used = memory;
    granules->starts = granules->used + words_of(granules->count);
}

struct virtq_priv_place virtq_priv_granules_place(const struct virtq_granules *granules,
                                                  uint64_t start, uint64_t wanted, uint64_t modulus)
{
    struct virtq_priv_place place = {1, 0};

    if (modulus >> granules->shift > 1) {
        place.stride = modulus >> granules->shift;
        /* Modulo arithmetic: it is meant to wrap. */
        place.phase = ((wanted - start) & (modulus - 1)) >> granules->shift;
    }
    return place;
}

uint64_t virtq_priv_granules_of(const struct virtq_granules *granules, uint64_t len)
{
    return ((len - 1) >> granules->shift) + 1;
}

/* The next place at or behind `from` that leaves room for `number`; false if there is none. */
static bool settle(const struct virtq_granules *granules, uint64_t number,
                   struct virtq_priv_place place, uint64_t *from)
{
    uint64_t forward = (place.phase - *from) & (place.stride - 1);

    if (forward > granules->count - *from) {
        return false;
    }
    *from += forward;
    return number <= granules->count - *from;
}

static bool find(const struct virtq_granules *granules, uint64_t number,
                 struct virtq_priv_place place, uint64_t *first)
{
    uint64_t at = 0;

    while (settle(granules, number, place, &at)) {
        uint64_t taken = next_taken(granules, at, at + number);

        if (taken == at + number) {
            *first = at;
            return true;
        }
        at = next_free(granules, taken, granules->count);
    }
    return false;
}

static bool take(struct virtq_granules *granules, uint64_t number, struct virtq_priv_place place,
                 uint64_t *first)
{
    if (!find(granules, number, place, first)) {
        return false;
    }
    flip(granules->used, *first, number);
    flip(granules->starts, *first, 1);
    granules->taken += number;
    if (granules->taken > granules->high_water) {
        granules->high_water = granules->taken;
    }
    return true;
}

static int refuse(struct virtq_granules *granules, uint64_t number, struct virtq_priv_place place)
{
    uint64_t lowest_place = 0;

    if (settle(granules, number, place, &lowest_place)) {
        granules->shortages++;
        return VIRTQ_ENOMEM;
    }
    granules->impossible++;
    return VIRTQ_ETOOBIG;
}

bool virtq_priv_granules_take(struct virtq_granules *granules, uint64_t number,
                              struct virtq_priv_place place, uint64_t *first)
{
    bool taken;

    virtq_priv_lock(&granules->lock);
    taken = take(granules, number, place, first);
    virtq_priv_unlock(&granules->lock);
    return taken;
}

int virtq_priv_granules_refuse(struct virtq_granules *granules, uint64_t number,
                               struct virtq_priv_place place)
{
    int error;

    virtq_priv_lock(&granules->lock);
    error = refuse(granules, number, place);
    virtq_priv_unlock(&granules->lock);
    return error;
}

int virtq_priv_granules_alloc(struct virtq_granules *granules, uint64_t number,
                              struct virtq_priv_place place, uint64_t *first)
{
    int error;

    virtq_priv_lock(&granules->lock);
    error = take(granules, number, place, first) ? 0 : refuse(granules, number, place);
    virtq_priv_unlock(&granules->lock);
    return error;
}

uint64_t virtq_priv_granules_slot(struct virtq_granules *granules, uint64_t first)
{
    uint64_t number = 0;

    virtq_priv_lock(&granules->lock);
    if (first < granules->count && (granules->starts[first / 64] >> (first % 64) & 1) != 0) {
        uint64_t neighbour = next(granules->starts, 0, first + 1, granules->count);

        number = next_free(granules, first, neighbour) - first;
    }
    virtq_priv_unlock(&granules->lock);
    return number;
}

void virtq_priv_granules_free(struct virtq_granules *granules, uint64_t first, uint64_t number)
{
    virtq_priv_lock(&granules->lock);
    flip(granules->used, first, number);
    flip(granules->starts, first, 1);
    granules->taken -= number;
    virtq_priv_unlock(&granules->lock);
}

bool virtq_priv_granules_taken(struct virtq_granules *granules, uint64_t first, uint64_t last)
{
    bool taken;

    virtq_priv_lock(&granules->lock);
    taken = last < granules->count && next_free(granules, first, last + 1) == last + 1;
    virtq_priv_unlock(&granules->lock);
    return taken;
}
