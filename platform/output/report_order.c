/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Few crossings, by the barycentre method: in turns each resource goes to the middle of the rows
 * that use it, each row to its resource within its guest, each guest to the middle of its rows. The
 * best of a few turns is kept, and neighbours are exchanged where that still helps. It draws
 * nothing.
 */
#include "report_order.h"

#include <string.h>

#define TURNS 12u

/* Means are taken in these steps, so that no arithmetic differs between machines. */
#define STEP 1024u

uint32_t bh_order_place(const struct bh_order *order, uint32_t resource)
{
    for (uint32_t i = 0; i < order->resource_count; i++) {
        if (order->resources[i] == resource) {
            return i;
        }
    }
    return BH_REPORT_NONE;
}

/* A thing to sort, and its key. */
struct keyed {
    uint32_t thing;
    uint32_t key;
};

/* What has equal keys keeps its order. */
static void sort(struct keyed *things, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct keyed moving = things[i];
        uint32_t j = i;

        for (; j > 0 && things[j - 1u].key > moving.key; j--) {
            things[j] = things[j - 1u];
        }
        things[j] = moving;
    }
}

static void resources_find(struct bh_order *order)
{
    order->resource_count = 0;
    for (uint32_t i = 0; i < order->row_count; i++) {
        const uint32_t resource = order->rows[i]->resource;

        if (resource != BH_REPORT_NONE && bh_order_place(order, resource) == BH_REPORT_NONE) {
            order->resources[order->resource_count++] = resource;
        }
    }
}

static void resources_sort(struct bh_order *order)
{
    struct keyed things[BH_DRAWN_LINKS_MAX];

    for (uint32_t i = 0; i < order->resource_count; i++) {
        uint32_t sum = 0;
        uint32_t count = 0;

        for (uint32_t j = 0; j < order->row_count; j++) {
            if (order->rows[j]->resource == order->resources[i]) {
                sum += j * STEP;
                count++;
            }
        }
        things[i] = (struct keyed){order->resources[i], count == 0 ? 0 : sum / count};
    }
    sort(things, order->resource_count);
    for (uint32_t i = 0; i < order->resource_count; i++) {
        order->resources[i] = things[i].thing;
    }
}

/* Rows without a resource go below the others. */
static uint32_t row_key(const struct bh_order *order, const struct bh_report_link *link)
{
    const uint32_t place = bh_order_place(order, link->resource);

    return place == BH_REPORT_NONE ? UINT32_MAX : place * STEP;
}

static uint32_t guest_key(const struct bh_order *order, const struct bh_report *report,
                          uint32_t guest)
{
    uint32_t sum = 0;
    uint32_t count = 0;

    for (uint32_t i = report->first[guest]; i < report->first[guest + 1u]; i++) {
        const uint32_t key = row_key(order, &report->links[i]);

        if (key != UINT32_MAX) {
            sum += key;
            count++;
        }
    }
    return count == 0 ? UINT32_MAX : sum / count;
}

/* The rows, as the order of the guests has it; within a guest by the resources. */
static void rows_sort(struct bh_order *order, const struct bh_report *report)
{
    uint32_t rows = 0;

    for (uint32_t i = 0; i < order->guest_count; i++) {
        const uint32_t guest = order->guests[i];
        struct keyed things[BH_DEVICES_MAX];
        uint32_t count = 0;

        for (uint32_t j = report->first[guest]; j < report->first[guest + 1u]; j++) {
            things[count++] = (struct keyed){j, row_key(order, &report->links[j])};
        }
        sort(things, count);
        for (uint32_t j = 0; j < count; j++) {
            order->rows[rows++] = &report->links[things[j].thing];
        }
    }
    order->row_count = rows;
}

static void guests_sort(struct bh_order *order, const struct bh_report *report)
{
    struct keyed things[BH_DRAWN_GUESTS_MAX];

    for (uint32_t i = 0; i < order->guest_count; i++) {
        things[i] = (struct keyed){order->guests[i], guest_key(order, report, order->guests[i])};
    }
    sort(things, order->guest_count);
    for (uint32_t i = 0; i < order->guest_count; i++) {
        order->guests[i] = things[i].thing;
    }
}

/* Pairs of lines that cross. */
static uint32_t crossings(const struct bh_order *order)
{
    uint32_t places[BH_DRAWN_LINKS_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < order->row_count; i++) {
        places[i] = bh_order_place(order, order->rows[i]->resource);
        for (uint32_t j = 0; j < i; j++) {
            count +=
                places[i] != BH_REPORT_NONE && places[j] != BH_REPORT_NONE && places[i] < places[j]
                    ? 1u
                    : 0u;
        }
    }
    return count;
}

/* Exchanges neighbours among the resources as long as that helps: where means are equal, sorting by
 * them does not see what would. */
static void neighbours_swap(struct bh_order *order, const struct bh_report *report)
{
    uint32_t least = crossings(order);
    bool better = least > 0;

    for (uint32_t pass = 0; pass < TURNS && better; pass++) {
        better = false;
        for (uint32_t i = 1; i < order->resource_count; i++) {
            struct bh_order other = *order;

            other.resources[i] = order->resources[i - 1u];
            other.resources[i - 1u] = order->resources[i];
            rows_sort(&other, report);
            if (crossings(&other) < least) {
                least = crossings(&other);
                *order = other;
                better = true;
            }
        }
    }
}

void bh_order_make(struct bh_order *order, const struct bh_report *report, const uint32_t *guests,
                   uint32_t guest_count)
{
    struct bh_order best;
    uint32_t least;

    memset(order, 0, sizeof(*order));
    memcpy(order->guests, guests, guest_count * sizeof(guests[0]));
    order->guest_count = guest_count;
    /* Nothing has a place yet: this is the order of the definition. */
    rows_sort(order, report);
    resources_find(order);
    resources_sort(order);
    best = *order;
    least = crossings(order);
    for (uint32_t turn = 0; turn < TURNS && least > 0; turn++) {
        /* Every other turn moves guests too, so that rows settle between. */
        if (turn % 2u == 1u) {
            guests_sort(order, report);
        }
        rows_sort(order, report);
        resources_sort(order);
        if (crossings(order) < least) {
            least = crossings(order);
            best = *order;
        }
    }
    *order = best;
    neighbours_swap(order, report);
}

/* Boxes that touch, as one: where it lies, and where it would like to lie. */
struct cluster {
    uint32_t first;
    uint32_t count;
    int height;
    long sum; /* of where each of its boxes would like the cluster to begin */
    int top;
};

void bh_order_spread(const int *wanted, const int *heights, int *tops, uint32_t count, int gap,
                     int top)
{
    struct cluster clusters[BH_DRAWN_LINKS_MAX];
    uint32_t used = 0;

    for (uint32_t i = 0; i < count && i < BH_DRAWN_LINKS_MAX; i++) {
        struct cluster *last = &clusters[used++];

        *last = (struct cluster){i, 1, heights[i] + gap, wanted[i] - heights[i] / 2, 0};
        last->top = last->sum < top ? top : (int)last->sum;
        /* Two that overlap become one, which lies where both together like it best. */
        while (used > 1u &&
               clusters[used - 2u].top + clusters[used - 2u].height > clusters[used - 1u].top) {
            struct cluster *before = &clusters[used - 2u];
            const struct cluster *after = &clusters[used - 1u];

            before->sum += after->sum - (long)before->height * (long)after->count;
            before->count += after->count;
            before->height += after->height;
            before->top = (int)(before->sum / (long)before->count);
            before->top = before->top < top ? top : before->top;
            used--;
        }
    }
    for (uint32_t i = 0; i < used; i++) {
        int at = clusters[i].top;

        for (uint32_t j = clusters[i].first; j < clusters[i].first + clusters[i].count; j++) {
            tops[j] = at;
            at += heights[j] + gap;
        }
    }
}
