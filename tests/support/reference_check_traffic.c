/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference against reference in one thread, over all shapes of a queue. */
#include "reference_check.h"

static void name_case(const struct reference_config *config, bool indirect)
{
    reference_check_at("%s size %u start %u%s%s%s%s",
                       config->format == REFERENCE_SPLIT ? "split" : "packed",
                       (unsigned)config->size, (unsigned)config->start,
                       config->event_idx ? " event_idx" : "", config->in_order ? " in_order" : "",
                       indirect ? " indirect" : "", config->big_endian ? " big-endian" : "");
}

/* Which end moves next is random, so every interleaving of whole calls can come up. */
static void run_until_done(struct reference_check_driver *driver,
                           struct reference_check_device *device, uint32_t random,
                           uint64_t patience)
{
    bool driver_awake = true;
    bool device_awake = true;
    bool notify;

    for (uint64_t steps = 0; steps < patience; steps++) {
        if (!driver_awake && !device_awake) {
            reference_check(false, "a wakeup was lost: both ends sleep");
            return;
        }
        if (driver_awake && reference_check_random(&random, 2) == 0) {
            enum reference_check_state state = reference_check_driver_step(driver, &notify);

            device_awake = device_awake || notify;
            driver_awake = state != REFERENCE_CHECK_ASLEEP;
            if (state == REFERENCE_CHECK_DONE) {
                return;
            }
        } else if (device_awake) {
            enum reference_check_state state = reference_check_device_step(device, &notify);

            driver_awake = driver_awake || notify;
            device_awake = state != REFERENCE_CHECK_ASLEEP;
            if (state == REFERENCE_CHECK_DONE) {
                return;
            }
        }
    }
    reference_check(false, "no end after very many steps");
}

static void run_case(const struct reference_config *wanted, bool indirect)
{
    struct reference_check_queue queue;
    struct reference_check_driver *driver;
    struct reference_check_device *device;

    name_case(wanted, indirect);
    reference_check_open(&queue, wanted, reference_check_data_length(wanted->size));
    /* A queue of one or two may carry longer buffers in a table if the device allows it. */
    if (indirect && wanted->size < 4) {
        queue.config.longest_chain = 4;
    }
    queue.config.no_indirect = !indirect;
    queue.config.write_on_indirect = wanted->start % 2 == 1;
    driver = reference_check_driver_new(&queue, indirect, 3 * wanted->size + 100, wanted->size);
    device = reference_check_device_new(&queue, wanted->size + 1);
    run_until_done(driver, device, wanted->start + 7, UINT64_C(1000) * (wanted->size + 100));
    reference_check_driver_free(driver);
    reference_check_device_free(device);
    reference_check_close(&queue);
}

static void run_features(struct reference_config config)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        config.event_idx = bits & 1;
        config.in_order = bits & 2;
        config.big_endian = bits & 8;
        if (!config.big_endian || config.format == REFERENCE_SPLIT) {
            run_case(&config, bits & 4);
        }
    }
}

static void run_starts(struct reference_config config)
{
    bool split = config.format == REFERENCE_SPLIT;
    uint32_t starts[] = {0, split ? 65535 : config.size, split ? 65533 : 2 * config.size - 1};
    unsigned first = 0;
    unsigned last = 2;

    /* The largest queue laps slowly enough to be started but once, near the wrap. */
    if (config.size == 32768) {
        first = 2;
    }
    for (unsigned i = first; i <= last; i++) {
        config.start = starts[i];
        run_features(config);
    }
}

void reference_check_traffic(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 7, 256, 300, 32768};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct reference_config config = {.format = REFERENCE_PACKED, .size = sizes[i]};

        run_starts(config);
        if ((sizes[i] & (sizes[i] - 1)) == 0) {
            config.format = REFERENCE_SPLIT;
            run_starts(config);
        }
    }
}
