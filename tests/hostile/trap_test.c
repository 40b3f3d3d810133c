/* SPDX-License-Identifier: BSD-3-Clause */
/* The double-fetch proof on compiled code, without instrumentation: the ring's pages trap every
 * access, a handler notes it, lets one instruction through, and closes the page again. So no access
 * can pass by a door that inline/shm.h does not know. x86-64 only; not under a sanitizer or
 * Valgrind, which have the handlers for themselves. Rows 23 to 25 and 48. */
#include "block.h"
#include "support/random.h"
#include "virtq/virtq.h"

#if defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
        __has_feature(memory_sanitizer)
#        define SANITIZED 1
#    endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED 1
#endif

#if defined(__x86_64__) && defined(__linux__) && !defined(SANITIZED)

#    include <signal.h>
#    include <ucontext.h>

enum { SIZE = 8, AREAS = 4, TABLE = 4, NOTES = 4096, STEPS = 1500, TRAP_FLAG = 0x100 };

struct note {
    const unsigned char *at;
    unsigned area;
    bool store;
};

static struct block areas[AREAS]; /* Descriptor, driver and device area, and the tables. */
static struct note notes[NOTES];
static volatile unsigned note_count;
static volatile sig_atomic_t armed;
static volatile unsigned strangers; /* Faults outside the ring. */
static bool flips;
static uint64_t flip_seed = 5;

static void close_pages(void)
{
    for (unsigned i = 0; i < AREAS; i++) {
        (void)mprotect(areas[i].maps[1] + block_page(), areas[i].inner, PROT_NONE);
    }
}

static void open_page(unsigned area)
{
    (void)mprotect(areas[area].maps[1] + block_page(), areas[area].inner, PROT_READ | PROT_WRITE);
}

static void on_segv(int number, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    const unsigned char *address = info->si_addr;

    (void)number;
    for (unsigned i = 0; i < AREAS && armed; i++) {
        const unsigned char *first = areas[i].view;

        if (address >= first && address < first + areas[i].size) {
            if (note_count < NOTES) {
                struct note *note = &notes[note_count];

                note->at = address;
                note->area = i;
                note->store = (at->uc_mcontext.gregs[REG_ERR] & 2) != 0;
                note_count++;
            }
            open_page(i);
            at->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
            return;
        }
    }
    strangers++;
    (void)signal(SIGSEGV, SIG_DFL); /* And the instruction faults again. */
}

static void on_trap(int number, siginfo_t *info, void *context)
{
    ucontext_t *at = context;

    (void)number;
    (void)info;
    at->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    if (flips && note_count != 0 && !notes[note_count - 1].store) {
        const struct note *note = &notes[note_count - 1];

        /* The byte just read is no longer what it was. */
        areas[note->area].at[note->at - areas[note->area].view] =
            (unsigned char)random_next(&flip_seed);
    }
    if (armed) {
        close_pages();
    }
}

static struct sigaction old_segv;
static struct sigaction old_trap;

static void arm(void)
{
    note_count = 0;
    armed = 1;
    close_pages();
}

static void disarm(void)
{
    armed = 0;
    for (unsigned i = 0; i < AREAS; i++) {
        open_page(i);
    }
}

/* Judges the accesses of one call. */
static void judge(bool packed, bool driver)
{
    disarm();
    cr_assert_lt(note_count, (unsigned)NOTES);
    cr_assert_eq(strangers, 0u);
    for (unsigned i = 0; i < note_count; i++) {
        const struct note *note = &notes[i];
        size_t offset = (size_t)(note->at - areas[note->area].view);
        bool shared_descriptor = packed && note->area == 0 && offset % 16 >= 8;

        if (note->store) {
            cr_assert(driver ? note->area != 2 : note->area == 2 || shared_descriptor);
            continue;
        }
        cr_assert(driver ? note->area == 2 || shared_descriptor : packed || note->area != 2,
                  "area %u offset %zu", note->area, offset);
        for (unsigned k = 0; k < i; k++) {
            cr_assert(notes[k].store || notes[k].at != note->at || flips,
                      "read twice: area %u offset %zu", note->area, offset);
        }
    }
}

struct ends {
    bool packed;
    struct virtq_direct direct;
    struct block memory[2];
    struct virtq_driver *driver;
    struct virtq_device *device;
    struct virtq_used_buffer held[SIZE * 2];
    unsigned count;
    unsigned long accesses;
};

static void ends_open(struct ends *e, bool packed, uint64_t features)
{
    static const size_t bytes[2][3] = {{SIZE * 16, SIZE * 2 + 6, SIZE * 8 + 6}, {SIZE * 16, 4, 4}};
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;

    memset(e, 0, sizeof(*e));
    e->packed = packed;
    cr_assert_eq(virtq_direct_init(&e->direct, NULL, 0, UINT64_MAX,
                                   VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE),
                 0);
    driver.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    driver.size = SIZE;
    driver.features = features | VIRTQ_FEATURE(VIRTIO_F_VERSION_1) |
                      (packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0);
    driver.segments_max = TABLE;
    driver.space = &e->direct.space;
    for (unsigned i = 0; i < AREAS; i++) {
        block_init(&areas[i], i < 3 ? bytes[packed][i] : virtq_driver_tables_size(&driver), 16,
                   false);
    }
    driver.areas = (struct virtq_areas){areas[0].view, areas[1].view, areas[2].view};
    driver.tables = areas[3].view;
    device.format = driver.format;
    device.size = SIZE;
    device.features = driver.features;
    device.space = driver.space;
    device.areas = driver.areas;
    block_init(&e->memory[0], virtq_driver_size(&driver), VIRTQ_CACHE_LINE, false);
    block_init(&e->memory[1], virtq_device_size(&device), VIRTQ_CACHE_LINE, false);
    cr_assert_eq(virtq_driver_init(e->memory[0].view, e->memory[0].size, &driver, &e->driver), 0);
    cr_assert_eq(virtq_device_init(e->memory[1].view, e->memory[1].size, &device, &e->device, NULL),
                 0);
}

static void ends_close(struct ends *e)
{
    for (unsigned i = 0; i < AREAS; i++) {
        block_free(&areas[i]);
    }
    block_free(&e->memory[0]);
    block_free(&e->memory[1]);
}

/* One random call; gives whether the queue still works. */
static bool step(struct ends *e, uint64_t *seed)
{
    static unsigned char data[64];
    struct virtq_segment segments[2] = {{.base = data, .len = 8}, {.base = data + 8, .len = 8}};
    struct virtq_buffer buffer = {segments, data, 1, 1, 0};
    struct virtq_completion done[2];
    struct virtq_chain chains[2];
    struct virtq_piece pieces[8];
    unsigned call = (unsigned)random_below(seed, 10);
    bool wish = false;
    int got = 0;

    buffer.flags = random_below(seed, 2) != 0 ? VIRTQ_BUFFER_DIRECT : 0;
    arm();
    switch (call) {
    case 0:
    case 1:
        got = virtq_driver_add(e->driver, &buffer, 1) == VIRTQ_EBROKEN ? VIRTQ_EBROKEN : 0;
        break;
    case 2:
        (void)virtq_driver_publish(e->driver);
        break;
    case 3:
        wish = virtq_driver_needs_notify(e->driver, NULL);
        break;
    case 4:
        got = virtq_driver_poll(e->driver, done, 2);
        break;
    case 5:
        wish = virtq_driver_enable_notify(e->driver);
        break;
    case 6:
        got = e->count <= SIZE ? virtq_device_pop(e->device, chains, 2, pieces, 8) : 0;
        break;
    case 7:
        got = e->count != 0 ? virtq_device_push(e->device, e->held, 1) : 0;
        break;
    case 8:
        got = virtq_device_publish(e->device);
        break;
    default:
        got = virtq_device_needs_notify(e->device);
        wish = virtq_device_enable_notify(e->device);
        break;
    }
    (void)wish;
    judge(e->packed, call < 6);
    e->accesses += note_count;
    for (int i = 0; call == 6 && i < got; i++) {
        e->held[e->count++] = (struct virtq_used_buffer){chains[i].id, 0};
    }
    if (call == 7 && got == 1) {
        e->count--;
        memmove(e->held, e->held + 1, e->count * sizeof(e->held[0]));
    }
    return got >= 0;
}

static void run(bool packed, bool flip)
{
    static const uint64_t features[] = {
        VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC),
        VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX),
        VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) |
            VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC)};
    struct sigaction segv = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    const char *preload = getenv("LD_PRELOAD");
    uint64_t seed = 9;

    if (preload != NULL && strstr(preload, "vgpreload") != NULL) {
        return; /* Valgrind does not single-step. */
    }
    flips = flip;
    cr_assert(sigaction(SIGSEGV, &segv, &old_segv) == 0);
    cr_assert(sigaction(SIGTRAP, &trap, &old_trap) == 0);
    for (unsigned i = 0; i < 3; i++) {
        unsigned long accesses = 0;

        for (unsigned k = 0; k < STEPS;) {
            struct ends e;

            ends_open(&e, packed, features[i]);
            while (k++ < STEPS && step(&e, &seed)) {
            }
            accesses += e.accesses;
            cr_assert(flip || k >= STEPS, "nobody broke a rule");
            ends_close(&e);
        }
        cr_assert_gt(accesses, 1000ul);
    }
    (void)sigaction(SIGSEGV, &old_segv, NULL);
    (void)sigaction(SIGTRAP, &old_trap, NULL);
}

Test(hostile_trap, split_compiled_code_reads_each_word_once_and_only_where_it_may)
{
    run(false, false);
}

Test(hostile_trap, packed_compiled_code_reads_each_word_once_and_only_where_it_may)
{
    run(true, false);
}

Test(hostile_trap, split_compiled_code_survives_words_that_change_once_they_were_read)
{
    run(false, true);
}

Test(hostile_trap, packed_compiled_code_survives_words_that_change_once_they_were_read)
{
    run(true, true);
}

#else

Test(hostile_trap, is_for_x86_64_without_sanitizers)
{
    cr_assert(true);
}

#endif
