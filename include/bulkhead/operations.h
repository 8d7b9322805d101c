/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be done with a resource: the operations that a policy allows, as bits. The definition's
 * words for them, what they mean for a descriptor's rights and which way data flows stand in one
 * table (platform/policy/operations.c); device models read the bits from their filter (filter.h).
 *
 * Bits are numbered within a type of resource. They are part of the filter's form, which programs
 * of different versions share: a bit never changes its meaning.
 */
#ifndef BULKHEAD_OPERATIONS_H
#define BULKHEAD_OPERATIONS_H

#include <stdint.h>

#define BH_OPERATION(bit) (UINT32_C(1) << (bit))

/* A disk. VIRTIO 1.4, 5.2.6. */
#define BH_DISK_READ     BH_OPERATION(0)
#define BH_DISK_WRITE    BH_OPERATION(1) /* write zeroes, too */
#define BH_DISK_FLUSH    BH_OPERATION(2)
#define BH_DISK_DISCARD  BH_OPERATION(3)
#define BH_DISK_ERASE    BH_OPERATION(4) /* secure erase */
#define BH_DISK_LIFETIME BH_OPERATION(5) /* read the wear of the medium */

/* A source of entropy. */
#define BH_ENTROPY_READ BH_OPERATION(0)

/* A CAN bus: frames, by identifier. */
#define BH_CAN_RECEIVE BH_OPERATION(0)
#define BH_CAN_SEND    BH_OPERATION(1)

/* A network. */
#define BH_NET_RECEIVE BH_OPERATION(0)
#define BH_NET_SEND    BH_OPERATION(1)

/* A GPIO chip, by line. */
#define BH_GPIO_READ      BH_OPERATION(0)
#define BH_GPIO_WRITE     BH_OPERATION(1) /* direction, too */
#define BH_GPIO_INTERRUPT BH_OPERATION(2)

/* An I2C adapter, by target address. */
#define BH_I2C_READ  BH_OPERATION(0)
#define BH_I2C_WRITE BH_OPERATION(1)

/* An SPI bus, by chip select. A transfer is both. */
#define BH_SPI_TRANSFER BH_OPERATION(0)

/* Sensors (SCMI, sensor protocol), by sensor. */
#define BH_SENSOR_READ      BH_OPERATION(0)
#define BH_SENSOR_CONFIGURE BH_OPERATION(1)
#define BH_SENSOR_NOTIFY    BH_OPERATION(2)

/* A clock. */
#define BH_CLOCK_READ  BH_OPERATION(0)
#define BH_CLOCK_ALARM BH_OPERATION(1) /* it may wake the host */

/* Sockets between guests (vsock), by port. */
#define BH_SOCKET_CONNECT BH_OPERATION(0)
#define BH_SOCKET_LISTEN  BH_OPERATION(1)

/* A folder. */
#define BH_FOLDER_READ  BH_OPERATION(0)
#define BH_FOLDER_WRITE BH_OPERATION(1)

/* Keys, by number in their store. */
#define BH_KEYS_ENCRYPT BH_OPERATION(0)
#define BH_KEYS_DECRYPT BH_OPERATION(1)
#define BH_KEYS_SIGN    BH_OPERATION(2)
#define BH_KEYS_VERIFY  BH_OPERATION(3)

/* Replay-protected memory. */
#define BH_RPMB_READ    BH_OPERATION(0)
#define BH_RPMB_WRITE   BH_OPERATION(1)
#define BH_RPMB_PROGRAM BH_OPERATION(2) /* its key, once */

/* Sound, by stream. */
#define BH_SOUND_PLAY    BH_OPERATION(0)
#define BH_SOUND_CAPTURE BH_OPERATION(1)

/* A display. */
#define BH_DISPLAY_SHOW BH_OPERATION(0)

/* Keys, touch: events of an input device; status: LEDs and force feedback. */
#define BH_INPUT_RECEIVE BH_OPERATION(0)
#define BH_INPUT_STATUS  BH_OPERATION(1)

/* A camera, a codec. */
#define BH_CAMERA_CAPTURE BH_OPERATION(0)
#define BH_CODEC_DECODE   BH_OPERATION(0)
#define BH_CODEC_ENCODE   BH_OPERATION(1)

/* A piece of hardware that is passed through. */
#define BH_HARDWARE_USE BH_OPERATION(0)

#endif
