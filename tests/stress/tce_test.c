/* SPDX-License-Identifier: BSD-3-Clause */
/* Two processors of a guest map and unmap through one list page, while a device on a thread of its
 * own translates: once an unmapping has returned, the page is the guest's again (L3). Writing to it
 * then would be a race if it were not. */
#include <pthread.h>
#include <stdlib.h>

#include "iommu/tce_fixture.h"
#include "virtq/guard.h"

enum { PAGE = 4096, PAGES = 8, GUESTS = 2 };

/* One of the guest's processors, with pages of its own. */
struct guest {
    struct tce_world *world;
    unsigned number;
    unsigned rounds;
    bool good;
};

struct device {
    struct virtq_guard_user user; /* First: it has lines of its own. */
    struct tce_world *world;
    uint32_t stop;
    uint64_t seen;
    bool good;
};

/* Calls without the fixture's counting, which is for one thread. */
static int64_t call(void *context, uint64_t number, const uint64_t *arguments, uint64_t *result)
{
    return virtq_tce_host_call(context, number, arguments, result);
}

static struct virtq_region range_of(const struct guest *guest, unsigned at, unsigned pages)
{
    const unsigned page = 16 + guest->number * PAGES + at;
    const virtq_addr_t first = TCE_BUS + (virtq_addr_t)page * PAGE;

    return (struct virtq_region){first, first + (virtq_addr_t)pages * PAGE - 1,
                                 tce_guest() + (size_t)page * PAGE, SPACES_READ};
}

/* The entries are this processor's: what the other put into the list page is not among them. */
static bool mapped_right(const struct guest *guest, const struct virtq_region *range)
{
    uint64_t real = TCE_REAL + (uint64_t)((unsigned char *)range->base - tce_guest());

    for (virtq_addr_t at = range->first; at <= range->last; at += PAGE, real += PAGE) {
        uint64_t entry = 0;

        if (virtq_tce_read_entry(&guest->world->backend, at, &entry) != 0 ||
            entry != (real | VIRTQ_TCE_READ)) {
            return false;
        }
    }
    return true;
}

static void *guest_thread(void *argument)
{
    struct guest *guest = argument;
    const struct virtq_iommu_backend *backend = &guest->world->backend.backend;

    for (unsigned round = 0; round < guest->rounds && guest->good; round++) {
        struct virtq_region range = range_of(guest, round % 4, 1 + round % 5);

        memset(range.base, (int)guest->number + 1, (size_t)(range.last - range.first) + 1);
        guest->good = backend->map(backend->context, &range, 1) == 0 &&
                      mapped_right(guest, &range) &&
                      backend->unmap(backend->context, &range, 1) == 0;
        /* The device must not see this. */
        memset(range.base, 0x66, (size_t)(range.last - range.first) + 1);
    }
    return NULL;
}

/* What is reached at the beginning of a burst is reached, and unchanged, until its end. */
static void burst(struct device *device)
{
    struct virtq_space *space = &device->world->table.space;
    const unsigned char *bytes[GUESTS * PAGES];
    unsigned numbers[GUESTS * PAGES];
    unsigned count = 0;

    for (unsigned page = 0; page < (unsigned)(GUESTS * PAGES); page++) {
        const virtq_addr_t addr = TCE_BUS + (virtq_addr_t)(16 + page) * PAGE;
        struct virtq_window window;

        if (space->ops->window(space, addr, SPACES_READ, &window) == 0) {
            numbers[count] = 1 + page / PAGES;
            bytes[count++] = window.base + (addr - window.first);
        }
    }
    for (unsigned offset = 0; offset < (unsigned)PAGE && device->good; offset += 64) {
        for (unsigned i = 0; i < count; i++) {
            device->good = device->good && bytes[i][offset] == numbers[i];
        }
    }
    device->seen += count;
}

static void *device_thread(void *argument)
{
    struct device *device = argument;

    while (__atomic_load_n(&device->stop, __ATOMIC_RELAXED) == 0 && device->good) {
        virtq_guard_enter(&device->user);
        burst(device);
        virtq_guard_leave(&device->user, 0, 0);
    }
    return NULL;
}

static void run(uint32_t scheme)
{
    static struct tce_world world;
    static struct device device;
    struct guest guests[GUESTS];
    struct virtq_guard guard;
    pthread_t threads[GUESTS + 1];

    tce_open(&world, TCE_BUS, TCE_SMALL);
    world.config.call = call;
    world.config.context = &world.host;
    cr_assert_eq(virtq_tce_backend_init(&world.backend, &world.config), 0);
    memset(&device, 0, sizeof(device));
    device.world = &world;
    device.good = true;
    cr_assert_eq(virtq_guard_init(&guard, &world.table.space, scheme), 0);
    cr_assert_eq(virtq_guard_join(&guard, &device.user), 0);
    cr_assert_eq(pthread_create(&threads[GUESTS], NULL, device_thread, &device), 0);
    for (unsigned i = 0; i < (unsigned)GUESTS; i++) {
        guests[i] =
            (struct guest){&world, i, getenv("VIRTQ_TEST_HURRIED") != NULL ? 200 : 5000, true};
        cr_assert_eq(pthread_create(&threads[i], NULL, guest_thread, &guests[i]), 0);
    }
    for (unsigned i = 0; i < (unsigned)GUESTS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    __atomic_store_n(&device.stop, 1u, __ATOMIC_RELAXED);
    cr_assert_eq(pthread_join(threads[GUESTS], NULL), 0);
    for (unsigned i = 0; i < (unsigned)GUESTS; i++) {
        cr_assert(guests[i].good, "guest %u", i);
    }
    cr_assert(device.good, "a page that was the guest's again was read");
    cr_assert_eq(tce_used(&world), 0u);
    virtq_guard_part(&device.user);
    cr_assert_eq(virtq_guard_fini(&guard), 0);
}

Test(stress_tce, l3_an_unmapped_page_is_the_guests_again_with_epochs)
{
    run(VIRTQ_GUARD_EPOCH);
}

Test(stress_tce, l3_an_unmapped_page_is_the_guests_again_with_locks)
{
    run(VIRTQ_GUARD_LOCK);
}
