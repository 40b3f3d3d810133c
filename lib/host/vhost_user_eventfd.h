/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Eventfds that the other end has too: read and written without waiting for it.
 *
 * O_NONBLOCK belongs to both ends at once: the other can clear it at any moment, and fill the
 * counter, or empty it. So no call here counts on it where the system has another way.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_EVENTFD_H
#define VIRTQ_LIB_HOST_VHOST_USER_EVENTFD_H

#include <stdbool.h>
#include <stdint.h>

/** @brief Whether a descriptor is an eventfd, as far as the system tells; then O_NONBLOCK is set.
 */
bool virtq_priv_eventfd_accept(int fd);

/** @brief Empties the counter: 1; 0: it was empty; -1: nothing will ever be in it. */
int virtq_priv_eventfd_take(int fd);

/** @brief Counts one up, or leaves a counter that is full: it says already what is to be said. */
void virtq_priv_eventfd_raise(int fd);

#endif
