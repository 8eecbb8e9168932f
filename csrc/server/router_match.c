/* Finding the route of a request. Nothing is allocated unless a regular expression has to be
 * asked or the method is refused; a path with escapes is decoded on the stack. */

#include "base/text.h"
#include "http/url.h"
#include "server/path.h"
#include "server/router_table.h"

/* Paths with escapes up to this size are decoded on the stack. */
#define MATCH_STACK 1024

/* Sub-applications within each other. Each level keeps MATCH_STACK bytes and more on the C stack,
 * so that Python's own bound on recursion would come too late. */
#define MATCH_NESTING 64

/* The path's segments, made for the first route with variables. */
typedef struct {
    bool made;
    uint16_t hashed; /* the segment that `hash` is of, or FIO_NO_PROBE */
    uint32_t hash;
    fio_view texts[FIO_ROUTE_SEGMENTS];
} fio_split;

typedef struct {
    const fio_head *head;
    const char *base;
    fio_split *split;
    fio_view raw;      /* the path as sent */
    fio_view path;     /* its escapes decoded, but for those of "/" and "%"; raw if it has none */
    size_t slashes;    /* in path */
    PyObject *text;    /* owned: path as str, made for a regular expression */
    fio_match *match;  /* where the route goes */
    bool skipped;      /* a resource was passed over because of its method */
    PyObject *allowed; /* owned set: the methods of such as have the path, once that is asked */
    unsigned nesting;  /* routers that this one is nested in */
} fio_lookup;

static int router_match(FioRouter *router, const fio_lookup *outer, fio_match *match);

/* -- one resource ---------------------------------------------------------------------------------
 */

static bool
starts_with(fio_view text, fio_view head)
{
    return text.size >= head.size && memcmp(text.base, head.base, head.size) == 0;
}

/* The variable's part of `text` when `segment` matches it. aiohttp: [^{}/]+ */
static bool
segment_match(const fio_segment *segment, fio_view text, fio_view *value)
{
    if (!segment->variable) {
        return text.size == segment->head.size && starts_with(text, segment->head);
    }
    size_t fixed = segment->head.size + segment->tail.size;
    if (text.size <= fixed || !starts_with(text, segment->head)
        || memcmp(text.base + text.size - segment->tail.size, segment->tail.base,
                  segment->tail.size)
               != 0) {
        return false;
    }
    *value = (fio_view){text.base + segment->head.size, text.size - fixed};
    return memchr(value->base, '{', value->size) == NULL
           && memchr(value->base, '}', value->size) == NULL;
}

/* The text up to the next "/" behind `*at`, which moves behind that. */
static fio_view
next_segment(const char **at, const char *end)
{
    const char *slash = memchr(*at, '/', (size_t)(end - *at));
    const char *stop = slash == NULL ? end : slash;
    fio_view segment = {*at, (size_t)(stop - *at)};
    *at = slash == NULL ? end : slash + 1;
    return segment;
}

/* `value` with %2F and %25 decoded as well, put under `name` in the decoded dict. */
static int
keep_decoded(fio_lookup *lookup, const fio_entry *entry, size_t index, fio_view value)
{
    fio_match *match = lookup->match;
    if (match->decoded == NULL && (match->decoded = PyDict_New()) == NULL) {
        return -1;
    }
    PyObject *text = fio_path_to_str(value);
    if (text == NULL) {
        return -1;
    }
    PyObject *name = PyTuple_GET_ITEM(entry->route->names, (Py_ssize_t)index);
    int status = PyDict_SetItem(match->decoded, name, text);
    Py_DECREF(text);
    return status;
}

/* Splits a path of at most FIO_ROUTE_SEGMENTS segments. */
static void
split_path(const fio_lookup *lookup)
{
    fio_split *split = lookup->split;
    const char *at = lookup->path.base + 1;
    const char *end = lookup->path.base + lookup->path.size;
    for (size_t i = 0; i < lookup->slashes; i++) {
        split->texts[i] = next_segment(&at, end);
    }
    split->hashed = FIO_NO_PROBE;
    split->made = true;
}

/* False where one segment shows already that the entry does not match. An entry with none behind it
 * is compared as a whole, which costs no more. */
static bool
probe_match(fio_split *split, const fio_entry *entry)
{
    if (entry->probe == FIO_NO_PROBE || entry->next == NULL) {
        return true;
    }
    if (split->hashed != entry->probe) {
        split->hashed = entry->probe;
        split->hash = fio_hash_text(split->texts[entry->probe]);
    }
    return split->hash == entry->probe_hash;
}

/* 1 matches, 0 does not, -1 exception set. */
static int
dynamic_match(fio_lookup *lookup, const fio_entry *entry)
{
    fio_split *split = lookup->split;
    if (lookup->slashes != entry->segment_count) {
        return 0;
    }
    if (!split->made) {
        split_path(lookup);
    }
    if (!probe_match(split, entry)) {
        return 0;
    }
    fio_match *match = lookup->match;
    fio_view values[FIO_ROUTE_VARIABLES];
    size_t count = 0;
    for (size_t i = 0; i < entry->segment_count; i++) {
        const fio_segment *segment = &entry->segments[i];
        if (!segment_match(segment, split->texts[i], &values[count])) {
            return 0;
        }
        count += segment->variable;
    }
    bool decoded = lookup->path.base != lookup->raw.base;
    for (size_t i = 0; i < count; i++) {
        if (decoded) {
            if (keep_decoded(lookup, entry, i, values[i]) < 0) {
                return -1;
            }
            continue;
        }
        match->values[i].offset = (uint32_t)(values[i].base - lookup->base);
        match->values[i].size = (uint32_t)values[i].size;
    }
    match->count = decoded ? 0 : count;
    return 1;
}

/* The groups of a regular expression's match, decoded, as the match's dict. */
static int
keep_groups(fio_lookup *lookup, PyObject *found)
{
    PyObject *groups = PyObject_CallMethod(found, "groupdict", NULL);
    if (groups == NULL) {
        return -1;
    }
    Py_ssize_t pos = 0;
    PyObject *name = NULL;
    PyObject *value = NULL;
    PyObject *decoded = PyDict_New();
    while (decoded != NULL && PyDict_Next(groups, &pos, &name, &value)) {
        PyObject *text = Py_NewRef(value);
        if (PyUnicode_Check(value)) {
            PyObject *bytes = PyUnicode_AsEncodedString(value, "utf-8", "surrogateescape");
            Py_CLEAR(text);
            if (bytes != NULL) {
                fio_view view = {PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
                text = fio_path_to_str(view);
                Py_DECREF(bytes);
            }
        }
        if (text == NULL || PyDict_SetItem(decoded, name, text) < 0) {
            Py_CLEAR(decoded);
        }
        Py_XDECREF(text);
    }
    Py_DECREF(groups);
    lookup->match->decoded = decoded;
    return decoded == NULL ? -1 : 0;
}

static int
pattern_match(fio_lookup *lookup, const fio_entry *entry)
{
    if (lookup->text == NULL) {
        lookup->text = fio_text_new(lookup->path, "surrogateescape");
        if (lookup->text == NULL) {
            return -1;
        }
    }
    PyObject *found = PyObject_CallOneArg(entry->pattern, lookup->text);
    if (found == NULL || found == Py_None) {
        Py_XDECREF(found);
        return found == NULL ? -1 : 0;
    }
    int status = keep_groups(lookup, found);
    Py_DECREF(found);
    return status < 0 ? -1 : 1;
}

/* True when ".." segments of what lies behind the prefix lead out of it. */
static bool
leaves_prefix(fio_view rest)
{
    const char *at = rest.base;
    const char *end = rest.base + rest.size;
    long depth = 0;
    while (at < end) {
        fio_view segment = next_segment(&at, end);
        if (segment.size == 2 && memcmp(segment.base, "..", 2) == 0) {
            depth--;
        }
        else if (segment.size > 0 && !(segment.size == 1 && segment.base[0] == '.')) {
            depth++;
        }
        if (depth < 0) {
            return true;
        }
    }
    return false;
}

static int
prefix_match(fio_lookup *lookup, const fio_entry *entry)
{
    fio_view prefix = {entry->text, entry->text_size};
    if (!starts_with(lookup->path, prefix)) {
        return 0;
    }
    fio_view rest = {lookup->path.base + prefix.size, lookup->path.size - prefix.size};
    if (rest.size > 0) {
        if (rest.base[0] != '/') {
            return 0;
        }
        rest = (fio_view){rest.base + 1, rest.size - 1};
    }
    if (leaves_prefix(rest)) {
        return 0;
    }
    if (lookup->path.base != lookup->raw.base) {
        lookup->match->count = 0;
        return keep_decoded(lookup, entry, 0, rest) < 0 ? -1 : 1;
    }
    lookup->match->count = 1;
    lookup->match->values[0].offset = (uint32_t)(rest.base - lookup->base);
    lookup->match->values[0].size = (uint32_t)rest.size;
    return 1;
}

static int
entry_match(fio_lookup *lookup, const fio_entry *entry)
{
    switch ((fio_entry_kind)entry->kind) {
    case FIO_ENTRY_PLAIN:
        lookup->match->count = 0;
        return lookup->path.size == entry->text_size
               && memcmp(lookup->path.base, entry->text, entry->text_size) == 0;
    case FIO_ENTRY_DYNAMIC:
        return dynamic_match(lookup, entry);
    case FIO_ENTRY_PATTERN:
        return pattern_match(lookup, entry);
    case FIO_ENTRY_PREFIX:
        return prefix_match(lookup, entry);
    case FIO_ENTRY_ROUTER:
        break;
    }
    return 0;
}

static int
method_match(const fio_lookup *lookup, const fio_entry *entry)
{
    if (entry->method == FIO_METHOD_ANY) {
        return 1;
    }
    if (entry->method != lookup->head->method) {
        return 0;
    }
    if (entry->method != FIO_METHOD_OTHER) {
        return 1;
    }
    fio_view method = fio_span_view(lookup->base, lookup->head->method_span);
    Py_ssize_t size = 0;
    const char *name = PyUnicode_AsUTF8AndSize(entry->method_name, &size);
    if (name == NULL) {
        return -1;
    }
    return (size_t)size == method.size && memcmp(name, method.base, method.size) == 0;
}

/* -- all resources --------------------------------------------------------------------------------
 */

static int
sub_router_match(FioRouter *router, const fio_lookup *lookup)
{
    if (lookup->nesting == MATCH_NESTING) {
        PyErr_Format(PyExc_RecursionError, "more than %d nested routers", MATCH_NESTING);
        return -1;
    }
    return router_match(router, lookup, lookup->match) < 0 ? -1 : 1;
}

/* 1 the match is complete, 0 go on, -1 exception set. */
static int
entries_match(fio_lookup *lookup, const fio_entry *entry)
{
    for (; entry != NULL; entry = entry->next) {
        if (entry->kind == FIO_ENTRY_ROUTER) {
            /* aiohttp: a sub-application answers for all below its prefix, 404 and 405 too. */
            return sub_router_match(entry->router, lookup);
        }
        int right_method = method_match(lookup, entry);
        if (right_method == 0 && lookup->allowed == NULL) {
            lookup->skipped = true;
            continue;
        }
        int found = right_method < 0 ? -1 : entry_match(lookup, entry);
        if (found < 0) {
            return -1;
        }
        if (found > 0 && right_method > 0) {
            lookup->match->route = (FioRoute *)Py_NewRef((PyObject *)entry->route);
            return 1;
        }
        if (found > 0) {
            Py_CLEAR(lookup->match->decoded);
            lookup->match->count = 0;
            if (PySet_Add(lookup->allowed, entry->method_name) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* Tries the keys of the path's beginnings, the longest first. */
static int
keys_match(fio_lookup *lookup, const FioRouter *router)
{
    if (router->used == 0) {
        return 0;
    }
    struct {
        size_t size;
        uint32_t hash;
    } keys[FIO_ROUTE_DEPTH + 1];
    size_t count = 0;
    uint32_t hash = FIO_HASH_START;
    fio_view path = lookup->path;
    for (size_t i = 0; i < path.size && count <= router->depth; i++) {
        if (path.base[i] == '/' && i > 0) {
            keys[count].size = i;
            keys[count++].hash = hash;
        }
        hash = fio_hash_step(hash, path.base[i]);
    }
    if (count <= router->depth) {
        keys[count].size = path.size;
        keys[count++].hash = hash;
    }
    while (count-- > 0) {
        const fio_slot *slot = fio_router_slot(router, path.base, keys[count].size,
                                               keys[count].hash);
        int found = slot->key == NULL ? 0 : entries_match(lookup, slot->first);
        if (found != 0) {
            return found;
        }
    }
    if (path.size == 1) {
        return 0; /* "/" itself was the last */
    }
    const fio_slot *root = fio_router_slot(router, "/", 1, fio_hash_step(FIO_HASH_START, '/'));
    return root->key == NULL ? 0 : entries_match(lookup, root->first);
}

static int
rules_match(fio_lookup *lookup, const FioRouter *router)
{
    const fio_field *field = fio_head_find(lookup->head, FIO_FIELD_HOST);
    if (field == NULL) {
        return 0;
    }
    fio_view view = fio_span_view(lookup->base, field->value);
    PyObject *host = fio_text_new(view, "surrogateescape");
    if (host == NULL) {
        return -1;
    }
    int found = 0;
    for (const fio_rule *rule = router->rules; rule != NULL && found == 0; rule = rule->next) {
        PyObject *answer = PyObject_CallOneArg(rule->matches, host);
        found = answer == NULL ? -1 : PyObject_IsTrue(answer);
        Py_XDECREF(answer);
        if (found > 0) {
            found = sub_router_match(rule->router, lookup);
        }
    }
    Py_DECREF(host);
    return found;
}

/* For a path none of whose resources has the method, the route refuse(method, allowed): 1. 0: no
 * resource has the path, -1: exception set. */
static int
refuse(fio_lookup *lookup, const FioRouter *router)
{
    lookup->allowed = PySet_New(NULL);
    int found = lookup->allowed == NULL ? -1 : keys_match(lookup, router);
    if (found != 0 || PySet_GET_SIZE(lookup->allowed) == 0) {
        return found;
    }
    fio_view method = fio_span_view(lookup->base, lookup->head->method_span);
    PyObject *route = PyObject_CallFunction(router->refuse, "s#O", method.base,
                                            (Py_ssize_t)method.size, lookup->allowed);
    if (route == NULL) {
        return -1;
    }
    if (!Py_IS_TYPE(route, router->st->RouteType)) {
        PyErr_Format(PyExc_TypeError, "the 405 factory must return a Route, not %.200s",
                     Py_TYPE(route)->tp_name);
        Py_DECREF(route);
        return -1;
    }
    lookup->match->route = (FioRoute *)route;
    return 1;
}

static int
lookup_run(fio_lookup *lookup, const FioRouter *router)
{
    int found = router->rules == NULL ? 0 : rules_match(lookup, router);
    if (found == 0) {
        found = keys_match(lookup, router);
    }
    if (found == 0 && lookup->skipped && router->refuse != NULL) {
        found = refuse(lookup, router);
    }
    if (found != 0) {
        return found < 0 ? -1 : 0;
    }
    lookup->match->count = 0;
    if (router->not_found == NULL) {
        PyErr_SetString(PyExc_LookupError, "no route matches and the router has no fallback");
        return -1;
    }
    lookup->match->route = (FioRoute *)Py_NewRef((PyObject *)router->not_found);
    return 0;
}

static size_t
count_slashes(fio_view path)
{
    size_t count = 0;
    for (size_t i = 0; i < path.size; i++) {
        count += path.base[i] == '/';
    }
    return count;
}

/* Looks up the same head as `outer`, which router is nested in, or which only names the head. */
static int
router_match(FioRouter *router, const fio_lookup *outer, fio_match *match)
{
    match->route = NULL;
    match->decoded = NULL;
    match->count = 0;
    char stack[MATCH_STACK];
    char *heap = NULL;
    fio_view raw = outer->raw;
    fio_split split;
    split.made = false;
    fio_lookup lookup = {.head = outer->head,
                         .base = outer->base,
                         .split = &split,
                         .raw = raw,
                         .path = raw,
                         .match = match,
                         .nesting = outer->nesting + 1};
    if (memchr(raw.base, '%', raw.size) != NULL) {
        if (raw.size > MATCH_STACK && (heap = PyMem_Malloc(raw.size)) == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        char *text = heap == NULL ? stack : heap;
        lookup.path = (fio_view){text, fio_percent_decode(text, raw, FIO_DECODE_SEGMENT)};
    }
    lookup.slashes = count_slashes(lookup.path);
    int status = lookup_run(&lookup, router);
    Py_XDECREF(lookup.text);
    Py_XDECREF(lookup.allowed);
    PyMem_Free(heap);
    if (status < 0) {
        fio_match_clear(match);
    }
    return status;
}

int
fio_router_match(FioRouter *router, const fio_head *head, const char *base, fio_match *match)
{
    FIO_HOLD(router);
    fio_lookup lookup = {.head = head, .base = base, .raw = fio_span_view(base, head->path)};
    return router_match(router, &lookup, match);
}
