/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The barriers between the two ends, processor-strength or device-strength.
 *
 * Between processors the release stores and acquire loads of inline/shm.h suffice. With
 * VIRTIO_F_ORDER_PLATFORM the peer is a device, and each point has to be ordered as the platform
 * orders devices: then, and only then, the write and read barriers here add an instruction. The
 * full barrier is needed in both cases. [virtio 1.4, Reserved Feature Bits] B15.
 */
#ifndef VIRTQ_INLINE_BARRIER_H
#define VIRTQ_INLINE_BARRIER_H

#include "../api.h"
#include "shm.h"

#if defined(__x86_64__) || defined(__i386__)
/** @brief Orders stores for a device. */
#    define VIRTQ_BARRIER_DEVICE_WRITE() __asm__ __volatile__("sfence" ::: "memory")
/** @brief Orders loads for a device. */
#    define VIRTQ_BARRIER_DEVICE_READ() __asm__ __volatile__("lfence" ::: "memory")
/** @brief Orders everything for a device. */
#    define VIRTQ_BARRIER_DEVICE_FULL() __asm__ __volatile__("mfence" ::: "memory")
#elif defined(__aarch64__)
#    define VIRTQ_BARRIER_DEVICE_WRITE() __asm__ __volatile__("dmb oshst" ::: "memory")
#    define VIRTQ_BARRIER_DEVICE_READ() __asm__ __volatile__("dmb oshld" ::: "memory")
#    define VIRTQ_BARRIER_DEVICE_FULL() __asm__ __volatile__("dmb osh" ::: "memory")
#elif defined(__riscv)
#    define VIRTQ_BARRIER_DEVICE_WRITE() __asm__ __volatile__("fence ow, ow" ::: "memory")
#    define VIRTQ_BARRIER_DEVICE_READ() __asm__ __volatile__("fence ir, ir" ::: "memory")
#    define VIRTQ_BARRIER_DEVICE_FULL() __asm__ __volatile__("fence iorw, iorw" ::: "memory")
#else
#    define VIRTQ_BARRIER_DEVICE_WRITE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#    define VIRTQ_BARRIER_DEVICE_READ() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#    define VIRTQ_BARRIER_DEVICE_FULL() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/** @brief Earlier stores before later ones; goes before a release store. @param how the instance */
VIRTQ_TEMPLATE void virtq_barrier_write(unsigned how)
{
    VIRTQ_BARRIER_TRACE('w');
    if ((how & VIRTQ_INSTANCE_PLATFORM) != 0u) {
        VIRTQ_BARRIER_DEVICE_WRITE();
    }
}

/** @brief Earlier loads before later ones; goes after an acquire load. @param how the instance */
VIRTQ_TEMPLATE void virtq_barrier_read(unsigned how)
{
    VIRTQ_BARRIER_TRACE('r');
    if ((how & VIRTQ_INSTANCE_PLATFORM) != 0u) {
        VIRTQ_BARRIER_DEVICE_READ();
    }
}

/** @brief Earlier stores before later loads: the one order that no acquire or release gives. @param
 * how an enum virtq_instance */
VIRTQ_TEMPLATE void virtq_barrier_full(unsigned how)
{
    VIRTQ_BARRIER_TRACE('f');
    if ((how & VIRTQ_INSTANCE_PLATFORM) != 0u) {
        VIRTQ_BARRIER_DEVICE_FULL();
        return;
    }
#if defined(__x86_64__)
    /* Half the price of mfence, which compilers emit for a seq_cst fence, and as strong for
     * ordinary memory. Adding nothing changes nothing, whatever lies there; below the return
     * address, so that no return waits for it. */
    __asm__ __volatile__("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

#endif
