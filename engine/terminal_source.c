/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a descriptor to lines (terminal_source.h).
 */
#include "terminal_source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LAST_READS 256u /* what is read of a writer that has ended: a full pipe and more */

static void source_line(void *context, const char *text, size_t length)
{
    struct bh_source *source = context;
    if (source->words != NULL) {
        bh_words_take(source->words, text, length);
    }
    bh_output_line(source->output, source->label, source->colour, text, length);
    if (source->said != NULL) {
        source->said(source->context, text);
    }
}

static void restless(struct bh_source *source)
{
    source->output->restless = source->output->restless || bh_lines_partial(&source->lines);
}

void bh_source_tick(struct bh_source *source)
{
    if (source->poller != NULL) {
        bh_lines_tick(&source->lines);
        restless(source);
    }
}

static void source_end(struct bh_source *source)
{
    source->ended = true;
    bh_lines_flush(&source->lines);
    source->poller->ops->remove(source->poller, &source->watch);
}

/* True: there may be more. */
static bool source_read(struct bh_source *source)
{
    uint8_t bytes[BH_OUTPUT_READ];
    ssize_t count = read(source->watch.fd, bytes, sizeof(bytes));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (count <= 0) {
        source_end(source);
        return false;
    }
    if (source->bytes != NULL) {
        source->bytes(source->context, bytes, (size_t)count);
    }
    bh_lines_feed(&source->lines, bytes, (size_t)count);
    restless(source);
    return true;
}

static void source_ready(struct bh_watch *watch)
{
    struct bh_source *source = (struct bh_source *)watch; /* its first member */
    if (bh_output_ready(source->output)) {
        (void)source_read(source);
    }
    bh_source_update(source);
}

int bh_source_init(struct bh_source *source, const struct bh_source_setup *setup)
{
    *source = (struct bh_source){
        .watch = {.fd = setup->fd, .ready = source_ready},
        .poller = setup->poller,
        .output = setup->output,
        .colour = setup->colour,
        .words = setup->words,
        .said = setup->said,
        .context = setup->context,
    };
    (void)snprintf(source->label, sizeof(source->label), "%s", setup->label);
    bh_lines_init(&source->lines, source_line, source);
    if (setup->poller->ops->add(setup->poller, &source->watch) != BH_OK) {
        source->poller = NULL;
        return BH_LIMIT;
    }
    bh_output_align(setup->output, setup->label);
    return BH_OK;
}

void bh_source_update(struct bh_source *source)
{
    if (source->poller == NULL || source->ended) {
        return;
    }
    bool wanted = !source->held && bh_output_ready(source->output);
    if (wanted && !source->watch.added) {
        if (source->poller->ops->add(source->poller, &source->watch) != BH_OK) {
            source_end(source); /* it was watched before: nothing that happens */
        }
    } else if (!wanted) {
        source->poller->ops->remove(source->poller, &source->watch);
    }
}

void bh_source_hold(struct bh_source *source, bool held)
{
    source->held = held;
    bh_source_update(source);
}

void bh_source_finish(struct bh_source *source)
{
    if (source->poller == NULL) {
        return;
    }
    for (uint32_t i = 0; i < LAST_READS && !source->ended && source_read(source); i++) {
    }
    if (!source->ended) {
        source_end(source);
    }
    (void)close(source->watch.fd);
    source->poller = NULL;
}
