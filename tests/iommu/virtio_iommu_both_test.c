/* SPDX-License-Identifier: BSD-3-Clause */
/* Driver role and device role together: what the one maps, the other lets an endpoint reach, and
 * nothing else. */
#include "virtio_iommu_both.h"

#include "support/random.h"

enum { POLICIES = 2, ROUNDS = 300, THREAD_ROUNDS = 500 };

/* Each test runs for both formats, under both policies that map. */
#define BothTest(name)                                                                             \
    static void name(struct both *both);                                                           \
    Test(iommu_virtio_iommu_both, name)                                                            \
    {                                                                                              \
        for (unsigned run = 0; run < 2 * POLICIES; run++) {                                        \
            struct both *both = both_open(run / POLICIES, run % POLICIES == 0 ? VIRTQ_IOMMU_STRICT \
                                                                              : VIRTQ_IOMMU_LAZY); \
                                                                                                   \
            name(both);                                                                            \
            both_close(both);                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void name(struct both *both)

/* What the endpoint reports, if anything. */
static unsigned report(struct both *both, struct virtq_virtio_iommu_event *fault)
{
    unsigned found = 0;

    cr_assert(virtq_virtio_iommu_device_report(both->iommu, both->reports.device) >= 0);
    cr_assert(virtq_virtio_iommu_events_poll(&both->events, fault, 1, &found) >= 0);
    return found;
}

/* The device behind the endpoint: the writable part becomes the readable one, byte for byte. */
static void echo(struct both_queue *queue)
{
    struct virtq_chain chain;
    struct virtq_piece pieces[16];
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    struct virtq_used_buffer used;

    cr_assert_eq(virtq_device_pop(queue->device, &chain, 1, pieces, 16), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    used = (struct virtq_used_buffer){
        chain.id, (uint32_t)virtq_cursor_copy(&writer, &reader, chain.readable_bytes)};
    cr_assert_eq(virtq_device_push(queue->device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(queue->device), 1);
}

BothTest(m1_an_endpoint_reaches_what_is_mapped_and_nothing_after_its_unmap)
{
    struct virtq_virtio_iommu_event fault = {0, 0, 0, 0, 0};
    unsigned char *page = both_pages(both, BOTH_PAGE);
    struct virtq_space *space = &both->spaces[0]->space;
    virtq_addr_t addr = 0;
    void *base = NULL;

    cr_assert_eq(virtq_space_share(space, page + 64, 100, VIRTQ_PERMISSION_READ, &addr), 0);
    cr_assert_eq(
        virtq_space_translate(&both->endpoint.space, addr, 100, VIRTQ_PERMISSION_READ, &base), 100);
    cr_assert_eq(base, (void *)(page + 64));
    cr_assert_eq(report(both, &fault), 0u);
    /* Not for this kind of access. */
    cr_assert(
        virtq_space_translate(&both->endpoint.space, addr, 100, VIRTQ_PERMISSION_WRITE, &base) < 0);
    cr_assert_eq(report(both, &fault), 1u);
    cr_assert_eq(fault.reason, (uint32_t)VIRTIO_IOMMU_FAULT_R_MAPPING);
    cr_assert_eq(fault.endpoint, (uint32_t)BOTH_ENDPOINT);
    cr_assert_eq(fault.flags, VIRTIO_IOMMU_FAULT_F_WRITE | VIRTIO_IOMMU_FAULT_F_ADDRESS);
    cr_assert_eq(fault.address, addr);
    virtq_space_unshare(space, addr, 100);
    cr_assert_eq(
        virtq_space_translate(&both->endpoint.space, addr, 100, VIRTQ_PERMISSION_READ, &base),
        VIRTQ_EFAULT);
    cr_assert_eq(report(both, &fault), 1u);
    cr_assert_eq(fault.flags, VIRTIO_IOMMU_FAULT_F_READ | VIRTIO_IOMMU_FAULT_F_ADDRESS);
    cr_assert_eq(fault.address, addr);
}

BothTest(m5_reserved_addresses_are_never_handed_out)
{
    virtq_addr_t addr;
    void *page = both_pages(both, BOTH_PAGE);

    cr_assert_eq(virtq_space_share(&both->spaces[0]->space, page, 1, BOTH_ALL, &addr), 0);
    cr_assert(addr > 0x102fff, "the first three pages are reserved");
    virtq_space_unshare(&both->spaces[0]->space, addr, 1);
}

BothTest(every_byte_goes_through_an_endpoint_s_queue)
{
    struct virtq_space *space = &both->spaces[0]->space;
    unsigned char *pages = both_pages(both, 8 * BOTH_PAGE);
    struct both_queue queue;
    uint64_t seed = 44;

    both_queue_open(both, &queue, space, &both->endpoint.space);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint32_t len = 1 + (uint32_t)random_below(&seed, 2 * BOTH_PAGE);
        unsigned char *from = pages + random_below(&seed, 2 * BOTH_PAGE);
        unsigned char *to = pages + 4 * BOTH_PAGE + random_below(&seed, 2 * BOTH_PAGE);
        const struct virtq_segment segments[] = {{.base = from, .len = len},
                                                 {.base = to, .len = len}};
        const struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};
        struct virtq_completion done;

        memset(from, (int)round + 1, len);
        cr_assert_eq(virtq_driver_add(queue.driver, &buffer, 1), 1);
        cr_assert_eq(virtq_driver_publish(queue.driver), 1u);
        echo(&queue);
        cr_assert_eq(virtq_driver_poll(queue.driver, &done, 1), 1);
        cr_assert_eq(done.len, len);
        cr_assert_eq(memcmp(from, to, len), 0, "round %u", round);
    }
    both_queue_close(&queue);
}

/* The space's view and the device's agree after any number of steps: what is shared is reached,
 * what is not is not, and no address is in use twice (the device would refuse it). */
BothTest(l4_random_shares_are_reached_until_they_are_taken_back)
{
    enum { SHARES = 40 };
    unsigned char *pages = both_pages(both, SHARES * BOTH_PAGE);
    virtq_addr_t addrs[SHARES];
    unsigned char shared[SHARES] = {0};
    uint64_t seed = 45;

    for (unsigned step = 0; step < 4 * ROUNDS; step++) {
        const unsigned at = (unsigned)random_below(&seed, SHARES);
        struct virtq_space *space = &both->spaces[at % BOTH_SPACES]->space;
        void *base = NULL;

        if (shared[at] == 0) {
            cr_assert_eq(
                virtq_space_share(space, pages + at * BOTH_PAGE, BOTH_PAGE, BOTH_ALL, &addrs[at]),
                0);
        } else {
            virtq_space_unshare(space, addrs[at], BOTH_PAGE);
        }
        shared[at] ^= 1;
        for (unsigned i = 0; i < SHARES; i++) {
            if (shared[i] != 0) {
                cr_assert_eq(virtq_space_translate(&both->endpoint.space, addrs[i], BOTH_PAGE,
                                                   VIRTQ_PERMISSION_WRITE, &base),
                             (int64_t)BOTH_PAGE, "seed 45, step %u", step);
                cr_assert_eq(base, (void *)(pages + i * BOTH_PAGE));
            }
        }
    }
    for (unsigned i = 0; i < SHARES; i++) {
        if (shared[i] != 0) {
            virtq_space_unshare(&both->spaces[i % BOTH_SPACES]->space, addrs[i], BOTH_PAGE);
        }
    }
}

struct thread {
    struct both *both;
    struct virtq_space *space;
    unsigned char *page;
};

static void *share_and_unshare(void *argument)
{
    struct thread *thread = argument;

    for (unsigned round = 0; round < THREAD_ROUNDS; round++) {
        virtq_addr_t addr = 0;
        void *base = NULL;

        cr_assert_eq(virtq_space_share(thread->space, thread->page, BOTH_PAGE, BOTH_ALL, &addr), 0);
        cr_assert_eq(virtq_space_translate(&thread->both->endpoint.space, addr, BOTH_PAGE,
                                           VIRTQ_PERMISSION_WRITE, &base),
                     (int64_t)BOTH_PAGE);
        cr_assert_eq(base, (void *)thread->page);
        virtq_space_unshare(thread->space, addr, BOTH_PAGE);
    }
    return NULL;
}

BothTest(l5_two_threads_share_one_driver)
{
    struct thread threads[BOTH_SPACES];
    pthread_t ids[BOTH_SPACES];

    for (unsigned i = 0; i < BOTH_SPACES; i++) {
        threads[i] = (struct thread){both, &both->spaces[i]->space, both_pages(both, BOTH_PAGE)};
        cr_assert_eq(pthread_create(&ids[i], NULL, share_and_unshare, &threads[i]), 0);
    }
    for (unsigned i = 0; i < BOTH_SPACES; i++) {
        cr_assert_eq(pthread_join(ids[i], NULL), 0);
    }
}
