/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of a device's life that all transports share. [virtio 1.4, Device Initialization] */
#include "transport.h"

#include "console.h"

void transport_open(struct transport *transport, uint64_t wanted)
{
    const struct transport_ops *ops = transport->ops;
    uint64_t offered;

    transport_stop(transport);
    ops->write_status(transport, STATUS_ACKNOWLEDGE);
    ops->write_status(transport, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    offered = ops->offered(transport);
    check(virtq_feature_has(offered, VIRTIO_F_VERSION_1), "a device of virtio 1");
    transport->features = offered & wanted;
    if (ops->reset_queue == NULL) {
        transport->features &= ~VIRTQ_FEATURE(VIRTIO_F_RING_RESET);
    }
    ops->accept(transport, transport->features);
    ops->write_status(transport, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    check((ops->read_status(transport) & STATUS_FEATURES_OK) != 0, "the features are accepted");
}

void transport_start(struct transport *transport)
{
    transport->ops->write_status(transport, STATUS_ACKNOWLEDGE | STATUS_DRIVER |
                                                STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

void transport_stop(struct transport *transport)
{
    transport->ops->write_status(transport, 0);
    while (transport->ops->read_status(transport) != 0) {
    }
}
