/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A YAML text as a tree: the events of libyaml, with bounds and places. It decides what YAML a
 * definition may use, and nothing about what it means.
 *
 * The way of a text:
 *   characters   UTF-8 without control characters, seen before libyaml sees a byte
 *   begin        stream and document have not begun, or the document is empty
 *   map, key     the next event is a key (a word), or the end of the map
 *   map, value   the next event is the value of that key
 *   list         the next event is an entry, or the end of the list
 *   end          the document is complete; only the end of the stream may follow
 */
#include "yaml_tree.h"

#include <inttypes.h>
#include <string.h>
#include <yaml.h>

#include "bulkhead/error.h"
#include "text.h"

struct builder {
    struct bh_yaml_forest *forest;
    struct bh_diagnostics *diagnostics;
    struct bh_yaml_node *innermost; /* map or list that has not ended; NULL: none */
    uint32_t depth;
    uint16_t file;
    struct bh_yaml_node *root;
    const char *key; /* of the value that comes next; NULL: none has been read */
    struct bh_origin key_at;
    bool document; /* one has begun */
    const char *text;
    const char *end;
};

#define SAY(b, check, at, ...)                                                                     \
    (bh_diagnostics_add((b)->diagnostics, BH_SEVERITY_ERROR, check, at, __VA_ARGS__), BH_INVALID)

static struct bh_origin origin_of(const struct builder *b, const yaml_mark_t *from,
                                  const yaml_mark_t *to)
{
    struct bh_origin origin = {
        .line = (uint32_t)from->line + 1, .column = (uint32_t)from->column + 1, .file = b->file};

    if (to->line == from->line && to->column > from->column) {
        origin.length = (uint32_t)(to->column - from->column);
    }
    return origin;
}

/* Of a map or list only the place where it begins is of interest. */
static struct bh_origin origin_at(const struct builder *b, const yaml_mark_t *mark)
{
    struct bh_origin origin = {.line = (uint32_t)mark->line + 1,
                               .column = (uint32_t)mark->column + 1,
                               .length = 1,
                               .file = b->file};

    return origin;
}

/* ---------------------------------------------------------------------------------- characters */

static int bad_character(struct bh_diagnostics *diagnostics, struct bh_origin at,
                         uint32_t character)
{
    if (character == BH_CHARACTER_BAD) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "encoding", at,
                           "this is not UTF-8 text\nsave the file as UTF-8");
    } else if (character == 0) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "encoding", at,
                           "a zero byte: this is not a text file\nsave it as UTF-8 text");
    } else if (character == '\r') {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "encoding", at,
                           "a carriage return that no line feed follows\n"
                           "end lines with LF or CR LF");
    } else {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "encoding", at,
                           "the character U+%04" PRIX32 " is not allowed: it changes how the line "
                           "reads, or ends it\nremove it",
                           character);
    }
    return BH_INVALID;
}

/* libyaml compares each %TAG with all before it, and no tag is allowed anyway. */
static int bad_directive(struct bh_diagnostics *diagnostics, struct bh_origin at)
{
    at.length = 4;
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "tag", at,
                       "tags are not supported\nremove the line");
    return BH_INVALID;
}

/* Every character of the text, before anything believes in it. */
static int check_characters(const struct builder *b)
{
    struct bh_diagnostics *diagnostics = b->diagnostics;
    struct bh_origin at = {.line = 1, .column = 1, .length = 1, .file = b->file};
    const char *text = b->text;
    const char *end = b->end;

    while (text < end) {
        uint32_t character;

        if (at.column == 1 && end - text >= 4 && memcmp(text, "%TAG", 4) == 0) {
            return bad_directive(diagnostics, at);
        }
        character = bh_character_next(&text, end);
        if (character == '\n') {
            at.line++;
            at.column = 1;
            continue;
        }
        if (character == '\r' && text < end && *text == '\n') {
            continue;
        }
        if (character != '\t' && !bh_character_is_plain(character)) {
            return bad_character(diagnostics, at, character);
        }
        at.column++;
    }
    return BH_OK;
}

/* What an escape in quotes may have made: libyaml takes "\0" and "\e" from a text without them. */
static bool is_clean(const char *text, size_t length, bool breaks)
{
    const char *end = text + length;

    while (text < end) {
        uint32_t character = bh_character_next(&text, end);

        if (breaks && (character == '\n' || character == '\t')) {
            continue;
        }
        if (!bh_character_is_plain(character)) {
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------------------------------- nodes */

/* A new node where the next one belongs: an entry of the innermost map or list, or the root. */
static int node_add(struct builder *b, struct bh_yaml_node **added, struct bh_origin at)
{
    struct bh_yaml_node *node = NULL;
    int error = bh_yaml_node_make(b->forest, at, &node);

    if (error != BH_OK) {
        return error;
    }
    node->key = b->key;
    node->key_at = b->key_at;
    b->key = NULL;
    *added = node;
    if (b->innermost == NULL) {
        b->root = node;
        return BH_OK;
    }
    return bh_yaml_append(b->forest, b->innermost, node);
}

static bool awaits_key(const struct builder *b)
{
    return b->innermost != NULL && b->innermost->kind == BH_YAML_MAP && b->key == NULL;
}

static int take_key(struct builder *b, const char *text, size_t length, struct bh_origin at)
{
    if (length == 0) {
        return SAY(b, "syntax", at, "a key is missing before the ':'");
    }
    if (!is_clean(text, length, false)) {
        return SAY(b, "encoding", at, "a key with a control character\nremove the escape");
    }
    b->key = bh_arena_text(b->forest->arena, text, length);
    b->key_at = at;
    return b->key == NULL ? BH_NO_MEMORY : BH_OK;
}

static void say_twice(const struct builder *b, const struct bh_yaml_node *first,
                      const struct bh_yaml_node *again)
{
    /* Reading goes on: whatever else is wrong is worth saying too. */
    bh_diagnostics_add(b->diagnostics, BH_SEVERITY_ERROR, "duplicate-key", again->key_at,
                       "%s is given twice\nthe first one is in line %" PRIu32
                       "; remove one of them",
                       bh_show(again->key).text, first->key_at.line);
}

/* Keys of a map that is complete. */
static int check_twice(const struct builder *b, const struct bh_yaml_node *map)
{
    struct bh_yaml_index index;
    const struct bh_yaml_node *first = NULL;
    int error = bh_yaml_index_make(&index, map);

    if (error != BH_OK) {
        return error;
    }
    for (uint32_t i = 0; i < index.count; i++) {
        if (first != NULL && strcmp(first->key, index.sorted[i]->key) == 0) {
            say_twice(b, first, index.sorted[i]);
        } else {
            first = index.sorted[i];
        }
    }
    for (const struct bh_yaml_node *entry = map->first; entry != NULL && index.sorted == NULL;
         entry = entry->next) {
        first = bh_yaml_find(map, entry->key);
        if (first != entry) {
            say_twice(b, first, entry);
        }
    }
    bh_yaml_index_finish(&index);
    return BH_OK;
}

static int refuse_anchor(const struct builder *b, struct bh_origin at, const char *what)
{
    return SAY(b, "anchor", at,
               "%s: anchors and aliases are not supported\n"
               "write the value out in each place where it belongs; keys that guests, devices or "
               "resources have in common are a template",
               what);
}

static int refuse_tag(const struct builder *b, struct bh_origin at, const yaml_char_t *tag)
{
    return SAY(b, "tag", at,
               "the tag %s is not supported\n"
               "%s",
               bh_show((const char *)tag).text,
               strstr((const char *)tag, "include") == NULL
                   ? "remove it: each key has its own type"
                   : "remove it: files are laid over others with include: FILE, at the top");
}

static int take_scalar(struct builder *b, const yaml_event_t *event)
{
    struct bh_origin at = origin_of(b, &event->start_mark, &event->end_mark);
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    struct bh_yaml_node *node;
    int error;

    if (event->data.scalar.anchor != NULL) {
        return refuse_anchor(b, origin_at(b, &event->start_mark), "an anchor (&)");
    }
    if (event->data.scalar.tag != NULL) {
        return refuse_tag(b, origin_at(b, &event->start_mark), event->data.scalar.tag);
    }
    if (awaits_key(b)) {
        return take_key(b, text, length, at);
    }
    if (!is_clean(text, length, true)) {
        return SAY(b, "encoding", at, "a value with a control character\nremove the escape");
    }
    error = node_add(b, &node, at);
    if (error != BH_OK) {
        return error;
    }
    node->kind = BH_YAML_SCALAR;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = bh_arena_text(b->forest->arena, text, length);
    return node->text == NULL ? BH_NO_MEMORY : BH_OK;
}

static int take_start(struct builder *b, const yaml_event_t *event, enum bh_yaml_kind kind)
{
    bool map = kind == BH_YAML_MAP;
    const yaml_char_t *anchor =
        map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag = map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    struct bh_origin at = origin_at(b, &event->start_mark);
    struct bh_yaml_node *node;
    int error;

    if (anchor != NULL) {
        return refuse_anchor(b, at, "an anchor (&)");
    }
    if (tag != NULL) {
        return refuse_tag(b, at, tag);
    }
    if (awaits_key(b)) {
        return SAY(b, "syntax", at, "a %s cannot be a key\nkeys are words", map ? "map" : "list");
    }
    if (b->depth == BH_YAML_DEPTH_MAX) {
        return SAY(b, "size", at, "maps and lists are nested deeper than %u", BH_YAML_DEPTH_MAX);
    }
    error = node_add(b, &node, at);
    if (error != BH_OK) {
        return error;
    }
    node->kind = kind;
    b->innermost = node;
    b->depth++;
    return BH_OK;
}

static int take_end(struct builder *b)
{
    const struct bh_yaml_node *ended = b->innermost;

    if (ended == NULL) {
        return BH_OK;
    }
    b->innermost = ended->parent;
    b->depth--;
    return ended->kind == BH_YAML_MAP ? check_twice(b, ended) : BH_OK;
}

/* --------------------------------------------------------------------------------------- events */

static int take_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->document) {
            return SAY(b, "one-document", origin_at(b, &event->start_mark),
                       "a second document begins\na definition is one document: remove the ---");
        }
        b->document = true;
        return BH_OK;
    case YAML_ALIAS_EVENT:
        return refuse_anchor(b, origin_of(b, &event->start_mark, &event->end_mark), "an alias (*)");
    case YAML_SCALAR_EVENT:
        return take_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return take_start(b, event, BH_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return take_start(b, event, BH_YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return take_end(b);
    default:
        return BH_OK; /* the stream's begin and end, the document's end */
    }
}

/* What libyaml says, and what it usually means. */
struct problem {
    const char *says; /* begins so */
    const char *what;
    const char *advice;
};

static const struct problem problems[] = {
    {"found character that cannot start any token", "this character cannot begin a value",
     "put a value that begins with it into quotes"},
    {"found unknown escape character", "YAML has no such escape",
     "write \\\\ for a backslash, or use single quotes"},
    {"did not find expected node content", "a value is missing here",
     "write one, or remove the sign that promises one"},
    {"found unknown directive name", "there is no such directive",
     "a line that begins with % is for YAML itself: remove it"},
    {"found incompatible YAML document", "this version of YAML is not known",
     "remove the %YAML line"},
    {"mapping values are not allowed in this context", "a ':' where no key can be",
     "is a space missing behind the ':' before it, or is this line indented otherwise?\n"
     "put a value that contains ': ' into quotes"},
    {"did not find expected ',' or '}'", "a ',' or '}' is missing",
     "a map in braces is { key: value, key: value }"},
    {"did not find expected ',' or ']'", "a ',' or ']' is missing", "a list in brackets is [a, b]"},
    {"did not find expected key", "a key is expected here",
     "lines of one map begin in the same column"},
    {"could not find expected ':'", "a ':' is missing behind this key",
     "write key: value, with a space behind the colon"},
    {"did not find expected '-' indicator", "an entry of a list is expected here",
     "lines of one list begin with - in the same column"},
    {"found unexpected end of stream", "the file ends within a text in quotes", "close the quotes"},
    {"did not find expected <document start>", "this belongs to nothing",
     "lines of one map begin in the same column, and %YAML and --- begin a file"},
    {"found undefined tag handle", "tags are not supported", "remove the !"},
    {"did not find expected alphabetic or numeric character", "a name is missing behind * or &",
     "put a text that begins with it into quotes"},
};

/* The character with this index in the text; 0: it is behind the end. */
static uint32_t character_at(const struct builder *b, size_t index)
{
    const char *at = b->text;

    while (at < b->end) {
        uint32_t character = bh_character_next(&at, b->end);

        if (index-- == 0) {
            return character;
        }
    }
    return 0;
}

static int refuse_syntax(const struct builder *b, const yaml_parser_t *parser)
{
    struct bh_origin at = origin_at(b, &parser->problem_mark);
    const char *says = parser->problem == NULL ? "this is not YAML" : parser->problem;
    const char *advice = NULL;
    uint32_t from = (uint32_t)parser->context_mark.line + 1;

    if (character_at(b, parser->problem_mark.index) == '\t') {
        return SAY(b, "syntax", at, "a tab in the indentation\nindent with spaces");
    }
    for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
        if (strncmp(says, problems[i].says, strlen(problems[i].says)) == 0) {
            says = problems[i].what;
            advice = problems[i].advice;
            break;
        }
    }
    if (parser->context != NULL && from != at.line) {
        return SAY(b, "syntax", at, "%s\n%s%swhat is not complete begins in line %" PRIu32, says,
                   advice == NULL ? "" : advice, advice == NULL ? "" : "\n", from);
    }
    return SAY(b, "syntax", at, "%s%s%s", says, advice == NULL ? "" : "\n",
               advice == NULL ? "" : advice);
}

static int run(struct builder *b, yaml_parser_t *parser)
{
    bool end = false;
    int error = BH_OK;

    while (!end && error == BH_OK) {
        yaml_event_t event;

        if (yaml_parser_parse(parser, &event) == 0) {
            return parser->error == YAML_MEMORY_ERROR ? BH_NO_MEMORY : refuse_syntax(b, parser);
        }
        end = event.type == YAML_STREAM_END_EVENT;
        error = take_event(b, &event);
        yaml_event_delete(&event);
    }
    return error;
}

int bh_yaml_parse(struct bh_yaml_node **root, struct bh_yaml_forest *forest, const char *text,
                  size_t length, uint16_t file)
{
    struct builder b = {.forest = forest,
                        .diagnostics = forest->diagnostics,
                        .file = file,
                        .text = text,
                        .end = text + length};
    uint32_t errors = bh_diagnostics_errors(b.diagnostics);
    yaml_parser_t parser;
    int error = check_characters(&b);

    *root = NULL;
    if (error != BH_OK) {
        return error;
    }
    if (yaml_parser_initialize(&parser) == 0) {
        return BH_NO_MEMORY;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    error = run(&b, &parser);
    yaml_parser_delete(&parser);
    if (error == BH_OK && bh_diagnostics_errors(b.diagnostics) != errors) {
        error = BH_INVALID; /* keys that are given twice */
    }
    if (error == BH_OK) {
        *root = b.root;
    }
    return error;
}
