/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-mmio registers (VIRTIO 1.4, 4.2.2), shared by the device side (mmio.h) and the driver
 * side (transport.h). All are 32 bits wide and little-endian; the configuration space is
 * byte-addressed.
 */
#ifndef BULKHEAD_VIRTIO_MMIO_H
#define BULKHEAD_VIRTIO_MMIO_H

#define BH_MMIO_MAGIC_VALUE         0x000u
#define BH_MMIO_VERSION             0x004u
#define BH_MMIO_DEVICE_ID           0x008u
#define BH_MMIO_VENDOR_ID           0x00cu
#define BH_MMIO_DEVICE_FEATURES     0x010u
#define BH_MMIO_DEVICE_FEATURES_SEL 0x014u
#define BH_MMIO_DRIVER_FEATURES     0x020u
#define BH_MMIO_DRIVER_FEATURES_SEL 0x024u
#define BH_MMIO_QUEUE_SEL           0x030u
#define BH_MMIO_QUEUE_SIZE_MAX      0x034u
#define BH_MMIO_QUEUE_SIZE          0x038u
#define BH_MMIO_QUEUE_READY         0x044u
#define BH_MMIO_QUEUE_NOTIFY        0x050u
#define BH_MMIO_INTERRUPT_STATUS    0x060u
#define BH_MMIO_INTERRUPT_ACK       0x064u
#define BH_MMIO_STATUS              0x070u
#define BH_MMIO_QUEUE_DESC_LOW      0x080u
#define BH_MMIO_QUEUE_DESC_HIGH     0x084u
#define BH_MMIO_QUEUE_DRIVER_LOW    0x090u
#define BH_MMIO_QUEUE_DRIVER_HIGH   0x094u
#define BH_MMIO_QUEUE_DEVICE_LOW    0x0a0u
#define BH_MMIO_QUEUE_DEVICE_HIGH   0x0a4u
#define BH_MMIO_SHM_SEL             0x0acu
#define BH_MMIO_SHM_LEN_LOW         0x0b0u
#define BH_MMIO_SHM_LEN_HIGH        0x0b4u
#define BH_MMIO_SHM_BASE_LOW        0x0b8u
#define BH_MMIO_SHM_BASE_HIGH       0x0bcu
#define BH_MMIO_QUEUE_RESET         0x0c0u
#define BH_MMIO_CONFIG_GENERATION   0x0fcu
#define BH_MMIO_CONFIG              0x100u

#define BH_MMIO_MAGIC          0x74726976u
#define BH_MMIO_VERSION_MODERN 2u
#define BH_MMIO_INT_USED       1u
#define BH_MMIO_INT_CONFIG     2u

/* The register page of one device: registers and configuration space. */
#define BH_MMIO_SIZE 0x200u

#endif
