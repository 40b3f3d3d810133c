/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief Front-ends that make the files shorter that they gave as memory.
 *
 * An access beyond the end of a file is a SIGBUS, which ends the program, and with it all other
 * front-ends that it serves. ::VIRTQ_VHOST_USER_STRICT refuses such files; not every front-end can
 * seal its own. Whoever takes them opts into a handler of that signal here, and makes his back-ends
 * with ::VIRTQ_VHOST_USER_CATCH. A page that is gone is replaced by one of zeros, which no other
 * program sees, the access is carried out there, and the back-end is broken: its rings are told so
 * and stop, and the connection ends.
 *
 * The system's own calls do not raise the signal: a read into such a page fails with EFAULT, which
 * is an error of that request and no more.
 */
#ifndef VIRTQ_HOST_VHOST_USER_FAULT_H
#define VIRTQ_HOST_VHOST_USER_FAULT_H

#include "../api.h"

VIRTQ_BEGIN_DECLS

/** @brief Installs the handler of SIGBUS for this process; more than once does no harm.
 *
 * What is not an access to a back-end's memory goes to the handler that was there before, or has
 * the signal's default effect. A handler that another part of the program installs later takes this
 * one's place, and should in turn pass on what is not its own.
 * @return 0, or VIRTQ_ENOTSUP (the system refuses): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_fault_install(void);

/** @brief Takes the handler out again, as before this library is unloaded.
 * @return 0, also if it is not installed; VIRTQ_EBUSY: a back-end relies on it, or another handler
 * was installed after it. Nothing changed. Any thread. */
VIRTQ_API int virtq_vhost_user_fault_remove(void);

VIRTQ_END_DECLS

#endif
