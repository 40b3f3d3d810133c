/* SPDX-License-Identifier: BSD-3-Clause */
/* libvirtq-host as a user sees it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <virtq/host/vhost_user.h>
#include <virtq/virtq.h>

int main(void)
{
    if (strcmp(virtq_version(), VIRTQ_VERSION) != 0 ||
        strcmp(virtq_vhost_user_request_name(VHOST_USER_GET_FEATURES), "GET_FEATURES") != 0) {
        return EXIT_FAILURE;
    }
    puts(virtq_vhost_user_refusal_name(VIRTQ_VHOST_USER_REFUSED_SIZE));
    return EXIT_SUCCESS;
}
