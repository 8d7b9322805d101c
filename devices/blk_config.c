/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device's features, configuration space and cache mode (VIRTIO 1.4, 5.2.3 to 5.2.5).
 * Not here: requests (blk_request.c).
 *
 * A write is answered only once it is durable when one of these holds (VIRTIO 1.4, 5.2.6.2):
 *   - the disk's owner asked for write-through;
 *   - flushes are withheld from the driver, or refused at the moment (blk_internal.h);
 *   - the driver negotiated neither FLUSH nor CONFIG_WCE: it could never make a write stable;
 *   - it negotiated CONFIG_WCE and `writeback` is 0;
 *   - it negotiated CONFIG_WCE, and this process took its rings over from one that died: what it
 *     set `writeback` to was said to that one, and a front end does not say it again.
 * Otherwise writes are stable after the next flush.
 *
 * `writeback` outlives a reset, as 5.2.5 permits. It must: a vhost-user front end may go on showing
 * its guest the last value, and a guest that reads 0 sends no flush. So the model never falls back
 * to less than what was last shown.
 */
#include "blk_internal.h"

static bool is_power_of_2(uint32_t value)
{
    return value != 0u && (value & (value - 1u)) == 0u;
}

static bool in_sectors(uint64_t bytes)
{
    return bytes % BH_BLK_SECTOR == 0u;
}

/* ---- features ---- */

uint64_t bh_blk_features(const struct bh_device *device)
{
    const struct bh_blk *blk = device->class_data;
    const struct bh_blk_geometry *geometry = &blk->geometry;
    uint64_t features = BH_BLK_F_SEG_MAX | BH_BLK_F_BLK_SIZE | BH_BLK_F_TOPOLOGY;

    if ((blk->operations & BH_DISK_FLUSH) != 0u) {
        features |= BH_BLK_F_FLUSH;
    }
    if (geometry->size_max != 0u) {
        features |= BH_BLK_F_SIZE_MAX;
    }
    if (device->queue_count > 1u) {
        features |= BH_BLK_F_MQ;
    }
    if ((blk->operations & BH_DISK_LIFETIME) != 0u) {
        features |= BH_BLK_F_LIFETIME;
    }
    if ((blk->operations & BH_DISK_WRITE) == 0u) {
        return features | BH_BLK_F_RO;
    }
    /* VIRTIO 1.4, 5.2.5.2: FLUSH must be offered with CONFIG_WCE, and the platform may mask it. */
    if (!geometry->write_through && (features & device->feature_mask & BH_BLK_F_FLUSH) != 0u) {
        features |= BH_BLK_F_CONFIG_WCE;
    }
    if ((blk->operations & BH_DISK_DISCARD) != 0u) {
        features |= BH_BLK_F_DISCARD;
    }
    if (geometry->write_zeroes_max != 0u) {
        features |= BH_BLK_F_WRITE_ZEROES;
    }
    if ((blk->operations & BH_DISK_ERASE) != 0u) {
        features |= BH_BLK_F_SECURE_ERASE;
    }
    return features;
}

static void durability_update(struct bh_blk *blk)
{
    uint64_t features = blk->device->features;
    bool can_flush = (features & (BH_BLK_F_FLUSH | BH_BLK_F_CONFIG_WCE)) != 0u;
    bool can_toggle = (features & BH_BLK_F_CONFIG_WCE) != 0u;

    blk->durable = blk->geometry.write_through || !can_flush ||
                   (can_toggle && (!blk->writeback || !blk->mode_known));
}

void bh_blk_started(struct bh_device *device, bool resumed)
{
    struct bh_blk *blk = device->class_data;

    /* A ring that begins belongs to a driver that looked at the configuration space just now. */
    if (!resumed) {
        blk->mode_known = true;
        durability_update(blk);
    }
}

void bh_blk_features_set(struct bh_device *device)
{
    struct bh_blk *blk = device->class_data;
    uint64_t cache = device->features & (BH_BLK_F_FLUSH | BH_BLK_F_CONFIG_WCE);

    /* VIRTIO 1.4, 5.2.5.2: a driver that cannot flush starts with write-through. */
    if (cache == BH_BLK_F_CONFIG_WCE) {
        blk->writeback = false;
    }
    durability_update(blk);
}

/* ---- configuration space ---- */

uint32_t bh_blk_config_size(const struct bh_device *device)
{
    (void)device;
    return (uint32_t)sizeof(struct bh_blk_config);
}

/* The binary logarithm of a power of 2. */
static uint8_t exponent(uint32_t value)
{
    uint8_t result = 0;

    while (value > 1u) {
        value >>= 1;
        result++;
    }
    return result;
}

static uint32_t sectors(uint32_t bytes)
{
    return BH_LE32(bytes / BH_BLK_SECTOR);
}

/* What belongs to features that are not offered stays 0. */
static void fill_config(const struct bh_device *device, struct bh_blk_config *config)
{
    const struct bh_blk *blk = device->class_data;
    const struct bh_blk_geometry *geometry = &blk->geometry;
    uint64_t offered = bh_device_features(device);
    /* Sizes are powers of 2; not every processor divides. */
    uint8_t block_exponent = exponent(geometry->block_size);
    uint32_t physical_blocks = geometry->physical_block_size >> block_exponent;

    bh_fill(config, 0, sizeof(*config));
    config->capacity = BH_LE64(geometry->capacity / BH_BLK_SECTOR);
    config->size_max = BH_LE32(geometry->size_max);
    config->seg_max = BH_LE32(geometry->seg_max);
    config->blk_size = BH_LE32(geometry->block_size);
    config->physical_block_exp = exponent(physical_blocks);
    config->min_io_size =
        BH_LE16(physical_blocks < UINT16_MAX ? (uint16_t)physical_blocks : UINT16_MAX);
    config->opt_io_size = BH_LE32(geometry->optimal_io_size >> block_exponent);
    if (!geometry->write_through && (blk->operations & BH_DISK_FLUSH) != 0u) {
        config->writeback = blk->writeback ? 1u : 0u;
    }
    if ((offered & BH_BLK_F_MQ) != 0u) {
        config->num_queues = BH_LE16(device->queue_count);
    }
    if ((offered & BH_BLK_F_DISCARD) != 0u) {
        config->max_discard_sectors = sectors(geometry->discard_max);
        config->max_discard_seg = BH_LE32(BH_BLK_SEGMENTS_MAX);
        config->discard_sector_alignment = sectors(geometry->discard_alignment);
    }
    if ((offered & BH_BLK_F_WRITE_ZEROES) != 0u) {
        config->max_write_zeroes_sectors = sectors(geometry->write_zeroes_max);
        config->max_write_zeroes_seg = BH_LE32(BH_BLK_SEGMENTS_MAX);
        config->write_zeroes_may_unmap = geometry->write_zeroes_unmap ? 1u : 0u;
    }
    if ((offered & BH_BLK_F_SECURE_ERASE) != 0u) {
        config->max_secure_erase_sectors = sectors(geometry->secure_erase_max);
        config->max_secure_erase_seg = BH_LE32(BH_BLK_SEGMENTS_MAX);
        config->secure_erase_sector_alignment = sectors(geometry->secure_erase_alignment);
    }
}

void bh_blk_config_read(const struct bh_device *device, uint32_t offset, void *to, uint32_t length)
{
    struct bh_blk_config config;
    const uint8_t *bytes = (const uint8_t *)&config;

    fill_config(device, &config);
    bh_copy(to, &bytes[offset], length);
}

int bh_blk_config_write(struct bh_device *device, uint32_t offset, const void *from,
                        uint32_t length)
{
    struct bh_blk *blk = device->class_data;
    uint8_t value;

    if ((device->features & BH_BLK_F_CONFIG_WCE) == 0u || length != sizeof(value) ||
        offset != offsetof(struct bh_blk_config, writeback)) {
        return BH_DENIED;
    }
    bh_copy(&value, from, sizeof(value));
    if (value > 1u) {
        return BH_INVALID;
    }
    blk->writeback = value != 0u;
    blk->mode_known = true;
    durability_update(blk);
    return BH_OK;
}

void bh_blk_capacity_set(struct bh_blk *blk, uint64_t capacity)
{
    blk->geometry.capacity = capacity - capacity % BH_BLK_SECTOR;
    bh_device_config_changed(blk->device);
}

/* ---- init ---- */

static bool topology_fits(const struct bh_blk_geometry *geometry)
{
    return is_power_of_2(geometry->block_size) && geometry->block_size >= BH_BLK_SECTOR &&
           geometry->block_size <= 65536u && is_power_of_2(geometry->physical_block_size) &&
           geometry->physical_block_size >= geometry->block_size &&
           (geometry->optimal_io_size & (geometry->block_size - 1u)) == 0u;
}

/* A range operation: the largest segment, and the alignment that goes with it. */
static bool range_fits(uint32_t max, uint32_t alignment)
{
    return in_sectors(max) && in_sectors(alignment) && (max == 0u || alignment != 0u);
}

static bool geometry_fits(const struct bh_blk_geometry *geometry, const struct bh_disk_ops *ops)
{
    return topology_fits(geometry) && in_sectors(geometry->capacity) && geometry->seg_max != 0u &&
           in_sectors(geometry->size_max) &&
           range_fits(geometry->discard_max, geometry->discard_alignment) &&
           range_fits(geometry->write_zeroes_max, BH_BLK_SECTOR) &&
           range_fits(geometry->secure_erase_max, geometry->secure_erase_alignment) &&
           (!geometry->lifetime || ops->lifetime != NULL);
}

/* Bytes behind the terminator are the caller's, not the guest's. */
static void id_clean(char *id)
{
    bool ended = false;

    for (uint32_t i = 0; i < BH_BLK_ID_LENGTH; i++) {
        ended = ended || id[i] == '\0';
        if (ended) {
            id[i] = '\0';
        }
    }
}

/* What the driver may do at all: what the disk can, less what is withheld. Without WRITE neither
 * DISCARD nor ERASE is offered or done, whatever stands here. */
static uint32_t operations(const struct bh_blk_geometry *geometry, uint32_t withheld)
{
    uint32_t able = BH_DISK_READ | BH_DISK_FLUSH;

    able |= geometry->read_only ? 0u : BH_DISK_WRITE;
    able |= geometry->discard_max != 0u ? BH_DISK_DISCARD : 0u;
    able |= geometry->secure_erase_max != 0u ? BH_DISK_ERASE : 0u;
    able |= geometry->lifetime ? BH_DISK_LIFETIME : 0u;
    return able & ~withheld;
}

int bh_blk_init(struct bh_blk *blk, const struct bh_blk_setup *setup)
{
    if (!geometry_fits(setup->geometry, setup->ops) || setup->request_count == 0u) {
        return BH_INVALID;
    }
    bh_fill(blk, 0, sizeof(*blk));
    blk->device = setup->device;
    blk->disk_ops = setup->ops;
    blk->disk = setup->disk;
    blk->geometry = *setup->geometry;
    blk->operations = operations(setup->geometry, setup->withheld);
    blk->on_refused = setup->refused;
    blk->context = setup->context;
    blk->writeback = true;
    blk->durable = true;
    if (setup->filter != NULL) {
        blk->filter = *setup->filter;
    }
    id_clean(blk->geometry.id);
    bh_blk_requests_init(blk, setup->requests, setup->request_count);
    return BH_OK;
}
