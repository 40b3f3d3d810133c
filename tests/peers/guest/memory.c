/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory.h"

#include "console.h"

#define PIECES 16u
#define PAGE 4096u

/* What only the guest sees, and what the device sees, on pages of their own. */
struct arena {
    uint8_t memory[0x20000];
    size_t taken;
} __attribute__((aligned(PAGE)));

static struct arena hidden;
static struct arena seen;

/* Book-keeping lies apart from the arenas: a device that strays does not reach it. */
static struct {
    struct virtq_bar *region;
    void *pieces[PIECES];
    unsigned count;
} shared;

void memory_share(struct virtq_bar *region)
{
    shared.region = region;
}

void memory_seen(void **pages, size_t *bytes)
{
    *pages = seen.memory;
    *bytes = sizeof(seen.memory);
}

static void *take(struct arena *arena, size_t size, size_t align)
{
    size_t at = (arena->taken + align - 1) / align * align;

    check(size <= sizeof(arena->memory) && at <= sizeof(arena->memory) - size, "memory");
    arena->taken = at + size;
    return arena->memory + at;
}

void *memory_private(size_t size, size_t align)
{
    return take(&hidden, size, align);
}

void *memory_shared(size_t size, size_t align)
{
    void *piece;

    if (shared.region == NULL) {
        return take(&seen, size, align);
    }
    check(shared.count < PIECES && virtq_bar_alloc(shared.region, size, align, &piece) == VIRTQ_OK,
          "memory of the region");
    shared.pieces[shared.count++] = piece;
    return piece;
}

struct memory_mark memory_marked(void)
{
    return (struct memory_mark){hidden.taken, seen.taken, shared.count};
}

void memory_release(struct memory_mark mark)
{
    while (shared.count > mark.shared_pieces) {
        shared.count--;
        check(virtq_bar_free(shared.region, shared.pieces[shared.count]) == VIRTQ_OK,
              "memory goes back to the region");
    }
    hidden.taken = mark.private_bytes;
    seen.taken = mark.seen_bytes;
}
