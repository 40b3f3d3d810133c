/* SPDX-License-Identifier: BSD-3-Clause */
/* The iommu space: buffers through both ends, and over a backend that fails.
 * L4, L5, L6; M3, M6; threats 65, 67, 73, 75, 77, 78. */
#include <pthread.h>

#include "iommu_fixture.h"
#include "support/random.h"

Test(space_iommu, a_buffer_is_reachable_while_it_is_mapped_and_no_longer)
{
    static struct world world;
    struct spaces_buffer buffer;
    unsigned char bytes[6000];

    world_open(&world, 0x10000, 0xfffff, 0);
    memset(data, 0x21, sizeof(data));
    spaces_segment(&buffer, 0, data + 100, 5000);
    spaces_segment(&buffer, 1, data + 3 * PAGE + 7, 16);
    spaces_segment(&buffer, 2, data + 5 * PAGE + 9, 6000);
    cr_assert_eq(spaces_map(driver_of(&world), &buffer, 2, 1, 2), VIRTQ_EFULL);
    cr_assert_eq(world.iova.count, 0u);
    cr_assert_eq(spaces_map(driver_of(&world), &buffer, 2, 1, 3), 0);
    cr_assert_eq(buffer.mapping.runs_readable, 2);
    cr_assert_eq(buffer.mapping.runs_writable, 1);
    cr_assert_eq(virtq_domain_count(&world.domain), 3u);
    cr_assert_eq(world.iova.count, 1u, "one address for the whole buffer");
    cr_assert_eq(buffer.mapping.copied, 0u);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[0].addr, bytes, 5000, SPACES_READ), 0);
    cr_assert(bytes[0] == 0x21 && bytes[4999] == 0x21);
    memset(bytes, 0x42, sizeof(bytes));
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[2].addr, bytes, 6000, SPACES_WRITE), 0);
    cr_assert(data[5 * PAGE + 8] == 0x21 && data[5 * PAGE + 9] == 0x42);
    cr_assert(data[5 * PAGE + 6008] == 0x42 && data[5 * PAGE + 6009] == 0x21);
    spaces_unmap(driver_of(&world), &buffer, 6000);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[0].addr, bytes, 1, SPACES_READ),
                 VIRTQ_EFAULT);
    cr_assert_eq(virtq_domain_count(&world.domain), 0u);
    cr_assert_eq(world.iova.count, 0u);
    virtq_iommu_device_destroy(&world.device);
}

Test(space_iommu, threat_65_the_low_bits_are_kept_and_segments_share_no_page)
{
    static struct world world;
    uint64_t seed = 65;
    int round;

    world_open(&world, 0, 0xfffff, 0);
    for (round = 0; round < 2000; round++) {
        unsigned count = 1 + (unsigned)random_below(&seed, 5);
        struct spaces_buffer buffer;
        unsigned i;

        for (i = 0; i < count; i++) {
            spaces_segment(&buffer, i, data + random_below(&seed, 8 * PAGE),
                           1 + random_below(&seed, 3 * PAGE));
        }
        cr_assert_eq(spaces_map(driver_of(&world), &buffer, 1, count - 1, count), 0);
        for (i = 0; i < count; i++) {
            cr_assert_eq(buffer.runs[i].addr % PAGE, (uintptr_t)buffer.segments[i].base % PAGE);
            cr_assert_eq(buffer.runs[i].len, buffer.segments[i].len);
            cr_assert(i == 0 || buffer.runs[i].addr / PAGE >
                                    (buffer.runs[i - 1].addr + buffer.runs[i - 1].len - 1) / PAGE);
        }
        spaces_unmap(driver_of(&world), &buffer, 0);
    }
    virtq_iommu_device_destroy(&world.device);
}

Test(space_iommu, M3_threat_78_what_is_readable_cannot_be_written_and_the_reverse)
{
    static struct world world;
    struct spaces_buffer buffer;
    unsigned char byte = 0;

    world_open(&world, 0, 0xfffff, 0);
    spaces_segment(&buffer, 0, data, 10);
    spaces_segment(&buffer, 1, data + PAGE, 10);
    cr_assert_eq(spaces_map(driver_of(&world), &buffer, 1, 1, 2), 0);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[0].addr, &byte, 1, SPACES_READ), 0);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[0].addr, &byte, 1, SPACES_WRITE),
                 VIRTQ_EPERM);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[1].addr, &byte, 1, SPACES_READ),
                 VIRTQ_EPERM);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[1].addr, &byte, 1, SPACES_WRITE), 0);
    /* One byte before the run's page and one behind: nothing is there. */
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[1].addr + PAGE, &byte, 1, SPACES_WRITE),
                 VIRTQ_EFAULT);
    spaces_unmap(driver_of(&world), &buffer, 0);
    virtq_iommu_device_destroy(&world.device);
}

Test(space_iommu, L6_threat_73_addresses_up_to_the_top)
{
    static struct world world;
    struct spaces_buffer buffer;
    unsigned char byte = 0;
    virtq_addr_t addr;

    world_open(&world, UINT64_MAX - 2 * PAGE + 1, UINT64_MAX, 0);
    spaces_segment(&buffer, 0, data + 1, PAGE - 1);
    spaces_segment(&buffer, 1, data + PAGE, PAGE);
    cr_assert_eq(spaces_map(driver_of(&world), &buffer, 1, 1, 2), 0);
    cr_assert_eq(buffer.runs[1].addr, UINT64_MAX - PAGE + 1);
    cr_assert_eq(spaces_copy(device_of(&world), UINT64_MAX, &byte, 1, SPACES_WRITE), 0);
    spaces_unmap(driver_of(&world), &buffer, 0);
    cr_assert_eq(
        driver_of(&world)->ops->share(driver_of(&world), data, 2 * PAGE, SPACES_BOTH, &addr), 0);
    driver_of(&world)->ops->unshare(driver_of(&world), addr, 2 * PAGE);
    cr_assert_eq(world.iova.count, 0u);
    cr_assert_eq(virtq_domain_count(&world.domain), 0u);
    virtq_iommu_device_destroy(&world.device);
}

Test(space_iommu, threat_67_a_shortage_is_not_an_impossibility)
{
    static struct world world;
    struct virtq_iommu_usage usage;
    struct spaces_buffer first;
    struct spaces_buffer second;

    world_open(&world, 0, 4 * PAGE - 1, 0);
    spaces_segment(&first, 0, data + 1, PAGE);
    spaces_segment(&second, 0, data, 3 * PAGE);
    cr_assert_eq(spaces_map(driver_of(&world), &first, 1, 0, 1), 0);
    cr_assert_eq(spaces_map(driver_of(&world), &second, 1, 0, 1), VIRTQ_ENOMEM);
    spaces_unmap(driver_of(&world), &first, 0);
    cr_assert_eq(spaces_map(driver_of(&world), &second, 1, 0, 1), 0);
    spaces_unmap(driver_of(&world), &second, 0);
    spaces_segment(&second, 0, data + 1, 4 * PAGE);
    cr_assert_eq(spaces_map(driver_of(&world), &second, 1, 0, 1), VIRTQ_ETOOBIG);
    spaces_segment(&second, 0, (void *)(UINTPTR_MAX - 5), 7);
    cr_assert_eq(spaces_map(driver_of(&world), &second, 1, 0, 1), VIRTQ_EFAULT);
    spaces_segment(&second, 0, data, 0);
    cr_assert_eq(spaces_map(driver_of(&world), &second, 1, 0, 1), VIRTQ_EINVAL);
    cr_assert_eq(spaces_map(driver_of(&world), &second, 0, 0, 1), VIRTQ_EINVAL);
    virtq_iommu_read_usage(&world.iommu, &usage);
    cr_assert_eq(usage.shortages, 1u);
    cr_assert_eq(usage.mapped, 0u);
    virtq_iommu_device_destroy(&world.device);
}

Test(space_iommu, threat_77_rings_are_shared_over_their_whole_length)
{
    static struct world world;
    unsigned char bytes[3 * PAGE];
    virtq_addr_t addr;
    struct virtq_window window;

    world_open(&world, 0x10000, 0xfffff, 0);
    cr_assert_eq(
        driver_of(&world)->ops->share(driver_of(&world), data + 64, 2 * PAGE, SPACES_BOTH, &addr),
        0);
    cr_assert_eq(addr % PAGE, 64u);
    cr_assert_eq(spaces_copy(device_of(&world), addr, bytes, 2 * PAGE, SPACES_READ), 0);
    cr_assert_eq(device_of(&world)->ops->window(device_of(&world), addr, SPACES_BOTH, &window), 0);
    cr_assert_eq(window.last - window.first, 3u * PAGE - 1u);
    /* The second page is taken away: the ring's rest is refused. */
    cr_assert_eq(virtq_domain_unmap(&world.domain, addr + PAGE - 64, addr + 2 * PAGE - 65),
                 VIRTQ_EINVAL, "one mapping is never split");
    driver_of(&world)->ops->unshare(driver_of(&world), addr, 2 * PAGE);
    cr_assert_eq(virtq_domain_count(&world.domain), 0u);
    cr_assert_eq(world.iova.count, 0u);
    cr_assert_eq(driver_of(&world)->ops->share(driver_of(&world), data, 0, SPACES_BOTH, &addr),
                 VIRTQ_EINVAL);
    cr_assert_eq(driver_of(&world)->ops->share(driver_of(&world), data, 1, 0, &addr), VIRTQ_EINVAL);
    cr_assert_eq(
        driver_of(&world)->ops->share(driver_of(&world), data, 256 * PAGE, SPACES_BOTH, &addr),
        VIRTQ_ENOMEM);
    virtq_iommu_device_destroy(&world.device);
}

/* A backend that keeps a diary and fails when told to. */
struct diary {
    struct virtq_iommu *iommu;
    char letters[16];
    unsigned length;
    char failing;       /* The letter whose call fails. */
    unsigned allocated; /* Addresses that were taken at the flush. */
    unsigned ranges;
};

static int write_diary(struct diary *diary, char letter, unsigned count)
{
    cr_assert_lt(diary->length, sizeof(diary->letters) - 1);
    diary->letters[diary->length++] = letter;
    diary->letters[diary->length] = 0;
    diary->ranges += count;
    return diary->failing == letter ? VIRTQ_ENOMEM : 0;
}

static int diary_map(void *context, const struct virtq_region *ranges, unsigned count)
{
    (void)ranges;
    return write_diary(context, 'm', count);
}

static int diary_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    (void)ranges;
    return write_diary(context, 'u', count);
}

static int diary_flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct diary *diary = context;

    (void)ranges;
    diary->allocated = diary->iommu->iova->count;
    return write_diary(context, 'f', count);
}

Test(space_iommu, L4_M6_an_address_is_free_only_after_unmap_and_flush)
{
    const char failing[] = {0, 'm', 'u', 'f'};
    unsigned i;

    for (i = 0; i < 4; i++) {
        struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
        struct virtq_iommu iommu;
        struct diary diary = {&iommu, "", 0, failing[i], 0, 0};
        struct virtq_iommu_backend backend = {sizeof(backend), &diary, diary_map, diary_unmap,
                                              diary_flush};
        struct virtq_iova_range ranges[4];
        struct virtq_iommu_usage usage;
        struct spaces_buffer buffer;
        struct virtq_iova iova;
        virtq_addr_t addr;
        int error;

        cr_assert_eq(virtq_iova_init(&iova, 0, 0xffff, PAGE, ranges, 4), 0);
        cr_assert_eq(virtq_iommu_init(&iommu, &config), VIRTQ_EINVAL);
        config.iova = &iova;
        config.backend = &backend;
        cr_assert_eq(virtq_iommu_init(&iommu, &config), 0);
        spaces_segment(&buffer, 0, data, 10);
        spaces_segment(&buffer, 1, data + PAGE, 10);
        error = spaces_map(&iommu.space, &buffer, 1, 1, 2);
        if (failing[i] == 'm') {
            cr_assert_eq(error, VIRTQ_ENOMEM);
            cr_assert_eq(iova.count, 0u, "M: nothing is held on an error");
            cr_assert_eq(iommu.space.ops->share(&iommu.space, data, 10, SPACES_READ, &addr),
                         VIRTQ_ENOMEM);
            cr_assert_eq(iova.count, 0u);
            continue;
        }
        cr_assert_eq(error, 0);
        spaces_unmap(&iommu.space, &buffer, 0);
        virtq_iommu_read_usage(&iommu, &usage);
        cr_assert_eq(usage.mapped, 0u);
        if (failing[i] == 0) {
            cr_assert_str_eq(diary.letters, "muf");
            cr_assert_eq(diary.ranges, 6u, "one call for both segments, three times");
            cr_assert_eq(diary.allocated, 1u, "still taken during the flush");
            cr_assert_eq(iova.count, 0u);
            cr_assert_eq(usage.leaked, 0u);
        } else {
            cr_assert_eq(iova.count, 1u, "never to be used again");
            cr_assert_eq(usage.leaked, 1u);
        }
    }
}

/* Random buffers through both ends: the device sees exactly the granted bytes. */
Test(space_iommu, random_buffers_arrive_whole)
{
    enum { BUFFERS = 6 };
    static struct world world;
    static struct spaces_buffer buffers[BUFFERS];
    unsigned counts[BUFFERS] = {0};
    uint64_t seed = 7;
    int round;

    world_open(&world, UINT64_MAX - 64 * PAGE + 1, UINT64_MAX, 0);
    for (round = 0; round < (int)sizeof(data); round++) {
        data[round] = (unsigned char)random_next(&seed);
    }
    for (round = 0; round < 5000; round++) {
        unsigned b = (unsigned)random_below(&seed, BUFFERS);
        unsigned char bytes[2 * PAGE];
        unsigned i;

        if (counts[b] != 0) {
            for (i = 0; i < counts[b]; i++) {
                const struct virtq_segment *segment = &buffers[b].segments[i];

                cr_assert_eq(spaces_copy(device_of(&world), buffers[b].runs[i].addr, bytes,
                                         segment->len, SPACES_READ),
                             0);
                cr_assert(memcmp(bytes, segment->base, segment->len) == 0);
            }
            spaces_unmap(driver_of(&world), &buffers[b], 0);
            counts[b] = 0;
            continue;
        }
        counts[b] = 1 + (unsigned)random_below(&seed, 4);
        for (i = 0; i < counts[b]; i++) {
            spaces_segment(&buffers[b], i, data + random_below(&seed, 13 * PAGE),
                           1 + random_below(&seed, 2 * PAGE));
        }
        if (spaces_map(driver_of(&world), &buffers[b], counts[b], 0, counts[b]) != 0) {
            counts[b] = 0;
        }
    }
    virtq_iommu_device_destroy(&world.device);
}

/* L5: two queues' threads map and unmap in one space, each checked through the device end. */
struct worker {
    struct world *world;
    unsigned char mark;
    int wrong;
};

static void *maps_and_unmaps(void *context)
{
    struct worker *worker = context;
    unsigned char *mine = data + worker->mark * 4 * PAGE;
    uint64_t seed = worker->mark;
    int round;

    memset(mine, worker->mark, 2 * PAGE);
    for (round = 0; round < 10000; round++) {
        unsigned len = 1 + (unsigned)random_below(&seed, PAGE);
        struct spaces_buffer buffer;
        unsigned char seen[PAGE];

        spaces_segment(&buffer, 0, mine + random_below(&seed, PAGE), len);
        if (spaces_map(driver_of(worker->world), &buffer, 1, 0, 1) != 0) {
            continue;
        }
        worker->wrong |=
            spaces_copy(device_of(worker->world), buffer.runs[0].addr, seen, len, SPACES_READ) != 0;
        worker->wrong |= seen[0] != worker->mark || seen[len - 1] != worker->mark;
        spaces_unmap(driver_of(worker->world), &buffer, 0);
    }
    return NULL;
}

Test(space_iommu, L5_two_threads_share_a_space_and_a_domain)
{
    static struct world world;
    struct worker workers[2] = {{&world, 1, 0}, {&world, 2, 0}};
    pthread_t threads[2];
    int i;

    world_open(&world, 0, 16 * PAGE - 1, 0);
    for (i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, maps_and_unmaps, &workers[i]), 0);
    }
    for (i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(workers[i].wrong, 0);
    }
    cr_assert_eq(world.iova.count, 0u);
    cr_assert_eq(virtq_domain_count(&world.domain), 0u);
    virtq_iommu_device_destroy(&world.device);
}
