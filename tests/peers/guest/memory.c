/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory.h"

#include "console.h"

#define PIECES 16u

static struct {
    uint64_t memory[0x20000 / 8];
    size_t taken;
} arena __attribute__((aligned(4096)));

/* Not in the arena, whose book-keeping would be overwritten by a device that strays. */
static struct {
    struct virtq_bar *region;
    void *pieces[PIECES];
    unsigned count;
} shared;

void memory_share(struct virtq_bar *region)
{
    shared.region = region;
}

void *memory_private(size_t size, size_t align)
{
    size_t at = (arena.taken + align - 1) / align * align;

    check(size <= sizeof(arena.memory) && at <= sizeof(arena.memory) - size, "memory");
    arena.taken = at + size;
    return (unsigned char *)arena.memory + at;
}

void *memory_shared(size_t size, size_t align)
{
    void *piece;

    if (shared.region == NULL) {
        return memory_private(size, align);
    }
    check(shared.count < PIECES && virtq_bar_alloc(shared.region, size, align, &piece) == VIRTQ_OK,
          "memory of the region");
    shared.pieces[shared.count++] = piece;
    return piece;
}

struct memory_mark memory_marked(void)
{
    return (struct memory_mark){arena.taken, shared.count};
}

void memory_release(struct memory_mark mark)
{
    while (shared.count > mark.shared_pieces) {
        shared.count--;
        check(virtq_bar_free(shared.region, shared.pieces[shared.count]) == VIRTQ_OK,
              "memory goes back to the region");
    }
    arena.taken = mark.private_bytes;
}
