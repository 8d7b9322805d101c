/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The head of the page: which platform, made from which files by which version, and the verdict.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

#define DIGEST_TEXT (2u * EVP_MAX_MD_SIZE + 1u)

/* A source: what it is called, how long it is, and its digest. */
struct source {
    uint32_t lines;
    char digest[DIGEST_TEXT]; /* "": it cannot be read any more */
};

static void digest_text(char *to, const uint8_t *digest, unsigned length)
{
    for (unsigned i = 0; i < length; i++) {
        (void)snprintf(to + 2u * (size_t)i, 3, "%02x", digest[i]);
    }
}

/* Reads the file to its end. false: it failed on the way. */
static bool source_sum(struct source *source, int fd, EVP_MD_CTX *context)
{
    static const size_t chunk = 65536;
    uint8_t *bytes = malloc(chunk);
    uint8_t last = '\n';
    ssize_t length = -1; /* no memory */

    while (bytes != NULL && (length = read(fd, bytes, chunk)) > 0) {
        for (ssize_t i = 0; i < length; i++) {
            source->lines += bytes[i] == '\n' ? 1u : 0u;
        }
        last = bytes[length - 1];
        if (EVP_DigestUpdate(context, bytes, (size_t)length) != 1) {
            length = -1;
            break;
        }
    }
    source->lines += last == '\n' ? 0u : 1u;
    free(bytes);
    return length == 0;
}

static void source_read(struct source *source, const struct bh_definition_file *file)
{
    const char *slash = strrchr(file->path, '/');
    char path[4096];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int fd;

    memset(source, 0, sizeof(*source));
    (void)snprintf(path, sizeof(path), "%s/%s", file->folder,
                   slash == NULL ? file->path : slash + 1);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
        source_sum(source, fd, context) && EVP_DigestFinal_ex(context, digest, &length) == 1) {
        digest_text(source->digest, digest, length);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    EVP_MD_CTX_free(context);
}

static void sources_put(const struct bh_report *report)
{
    const struct bh_platform *platform = report->platform;
    struct source source;

    bh_html_put(report->html,
                "<div class=\"scroll\"><table class=\"sources\">\n<caption>Built from</caption>\n"
                "<thead><tr><th scope=\"col\">File</th><th scope=\"col\" class=\"n\">Lines</th>"
                "<th scope=\"col\">SHA-256</th></tr></thead>\n<tbody>\n");
    for (uint32_t i = 0; i < platform->file_count; i++) {
        source_read(&source, &platform->files[i]);
        bh_html_put(report->html,
                    "<tr><th scope=\"row\"><code>%s</code></th><td class=\"n\">%u</td>"
                    "<td><code class=\"digest\">%s</code></td></tr>\n",
                    bh_report_file(report, platform->files[i].path), source.lines,
                    source.digest[0] == '\0' ? "cannot be read any more" : source.digest);
    }
    bh_html_put(report->html, "</tbody></table></div>\n");
}

/* "3 guests". */
static void count_put(const struct bh_report *report, uint32_t count, const char *noun)
{
    bh_html_put(report->html, "<li><b>%u</b> %s%s</li>", count, noun, count == 1u ? "" : "s");
}

static void verdict_put(const struct bh_report *report)
{
    const struct bh_html *html = report->html;
    const uint32_t assertions = report->platform->assertion_count;
    const uint32_t warnings = bh_diagnostics_warnings(report->diagnostics);
    const struct bh_resource *loose = bh_report_loose(report->platform);

    bh_html_put(html, "<ul class=\"verdict\">\n");
    if (assertions == 0) {
        bh_html_put(html, "<li class=\"none\">Nothing is asserted</li>\n");
    } else if (report->violated == 0) {
        bh_html_put(html, "<li class=\"ok\">%s</li>\n",
                    assertions == 1u ? "The assertion holds" : "All assertions hold");
    } else {
        bh_html_put(html, "<li class=\"bad\">Violated: %u of %u assertions</li>\n",
                    report->violated, assertions);
    }
    if (report->open_guests == 0 && report->gated_guests == 0 && loose == NULL) {
        bh_html_put(html, "<li class=\"ok\">No guest&#39;s private memory is shared</li>\n");
    }
    if (report->open_guests > 0) {
        bh_html_put(html,
                    "<li class=\"bad\">OPEN: back ends reach all memory of %u of %u guests</li>\n",
                    report->open_guests, report->platform->guest_count);
    }
    if (report->gated_guests > 0) {
        bh_html_put(html,
                    "<li class=\"warn\">All memory of %u of %u guests is shared with their "
                    "gates</li>\n",
                    report->gated_guests, report->platform->guest_count);
    }
    if (loose != NULL) {
        bh_html_put(html, "<li class=\"bad\">%s masters memory without an IOMMU</li>\n",
                    loose->name.text);
    }
    if (warnings == 0) {
        bh_html_put(html, "<li class=\"ok\">No warnings</li>\n");
    } else {
        bh_html_put(html, "<li class=\"warn\"><a href=\"#warnings\">%u warning%s</a></li>\n",
                    warnings, warnings == 1u ? "" : "s");
    }
    bh_html_put(html, "</ul>\n");
}

void bh_report_head(const struct bh_report *report)
{
    const struct bh_html *html = report->html;
    const struct bh_platform *platform = report->platform;
    uint32_t left_out = 0;

    for (uint32_t i = 0; i < report->link_count; i++) {
        left_out += report->links[i].device->left_out ? 1u : 0u;
    }
    bh_html_put(html,
                "<header>\n<p class=\"kicker\">Bulkhead %s, isolation report</p>\n<h1>%s</h1>\n"
                "<p class=\"lead\">Who can reach what, as the definition permits it and as this "
                "version enforces it.</p>\n",
                BH_PLATFORM_VERSION, platform->name.text);
    verdict_put(report);
    bh_html_put(html, "<ul class=\"counts\">");
    count_put(report, platform->guest_count, "guest");
    count_put(report, report->link_count, "device");
    count_put(report, platform->resource_count, "resource");
    count_put(report, platform->policy_count, "policy line");
    count_put(report, platform->assertion_count, "assertion");
    if (report->mode_count > 1u) {
        char modes[BH_MODES_MAX * (BH_NAME_MAX + 2u)];

        bh_report_modes(report, report->all_modes, modes, sizeof(modes));
        bh_html_put(html, "<li><b>%u</b> vehicle modes: %s</li>", report->mode_count, modes);
    }
    if (left_out > 0) {
        bh_html_put(html, "<li><b>%u</b> device%s left out: no back end in this version</li>",
                    left_out, left_out == 1u ? "" : "s");
    }
    bh_html_put(html, "</ul>\n");
    sources_put(report);
    bh_html_put(html, "</header>\n");
}
