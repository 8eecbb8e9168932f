/* _core.Router: building the table of routes. It may be added to at any time, also between
 * requests; the matching is in router_match.c. */

#include "base/args.h"
#include "http/token.h"
#include "server/router_table.h"

static uint8_t
method_of_name(PyObject *name)
{
    if (PyUnicode_CompareWithASCIIString(name, "*") == 0) {
        return FIO_METHOD_ANY;
    }
    Py_ssize_t size = 0;
    const char *text = PyUnicode_AsUTF8AndSize(name, &size); /* ASCII: cannot fail */
    return (uint8_t)fio_method_lookup((fio_view){text, (size_t)size});
}

/* -- the table ------------------------------------------------------------------------------------
 */

static void
entry_free(fio_entry *entry)
{
    while (entry != NULL) {
        fio_entry *next = entry->next;
        Py_XDECREF(entry->method_name);
        Py_XDECREF((PyObject *)entry->route);
        Py_XDECREF(entry->pattern);
        Py_XDECREF((PyObject *)entry->router);
        PyMem_Free(entry->text);
        PyMem_Free(entry->segments);
        PyMem_Free(entry);
        entry = next;
    }
}

static int
router_grow(FioRouter *self)
{
    size_t capacity = self->capacity == 0 ? 16 : self->capacity * 2;
    fio_slot *slots = PyMem_Calloc(capacity, sizeof(*slots));
    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    fio_slot *old = self->slots;
    size_t old_capacity = self->capacity;
    self->slots = slots;
    self->capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].key != NULL) {
            *fio_router_slot(self, old[i].key, old[i].size, old[i].hash) = old[i];
        }
    }
    PyMem_Free(old);
    return 0;
}

/* Appends `entry` (taken over, also on failure) to the resources of `key`. */
static int
router_insert(FioRouter *self, fio_view key, fio_entry *entry)
{
    size_t depth = 0;
    uint32_t hash = FIO_HASH_START;
    for (size_t i = 0; i < key.size; i++) {
        depth += key.base[i] == '/';
        hash = fio_hash_step(hash, key.base[i]);
    }
    if (depth > FIO_ROUTE_DEPTH) {
        PyErr_Format(PyExc_ValueError, "path has more than %d segments", FIO_ROUTE_DEPTH);
        goto error;
    }
    if (2 * (self->used + 1) > self->capacity && router_grow(self) < 0) {
        goto error;
    }
    fio_slot *slot = fio_router_slot(self, key.base, key.size, hash);
    if (slot->key == NULL) {
        char *copy = PyMem_Malloc(key.size + 1);
        if (copy == NULL) {
            PyErr_NoMemory();
            goto error;
        }
        memcpy(copy, key.base, key.size);
        *slot = (fio_slot){copy, key.size, hash, entry, entry};
        self->used++;
        self->depth = depth > self->depth ? depth : self->depth;
        return 0;
    }
    slot->last->next = entry;
    slot->last = entry;
    return 0;
error:
    entry_free(entry);
    return -1;
}

/* aiohttp: UrlDispatcher._get_resource_index_key */
static fio_view
key_of_path(fio_view path)
{
    const char *brace = memchr(path.base, '{', path.size);
    size_t size = path.size;
    if (brace != NULL) {
        size = (size_t)(brace - path.base);
        while (size > 0 && path.base[size - 1] != '/') {
            size--;
        }
    }
    while (size > 0 && path.base[size - 1] == '/') {
        size--;
    }
    return size == 0 ? (fio_view){"/", 1} : (fio_view){path.base, size};
}

static fio_entry *
entry_new(fio_entry_kind kind, PyObject *path)
{
    Py_ssize_t size = 0;
    const char *text = PyUnicode_Check(path) ? PyUnicode_AsUTF8AndSize(path, &size) : NULL;
    if (text == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_TypeError, "path must be str, not %.200s", Py_TYPE(path)->tp_name);
        }
        return NULL;
    }
    if (size > 0 && text[0] != '/') {
        PyErr_Format(PyExc_ValueError, "path must begin with '/', got %R", path);
        return NULL;
    }
    fio_entry *entry = PyMem_Calloc(1, sizeof(*entry));
    char *copy = PyMem_Malloc((size_t)size + 1);
    if (entry == NULL || copy == NULL) {
        PyMem_Free(entry);
        PyMem_Free(copy);
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(copy, text, (size_t)size + 1);
    entry->kind = kind;
    entry->text = copy;
    entry->text_size = (size_t)size;
    return entry;
}

/* -- paths with variables -------------------------------------------------------------------------
 */

/* Reads the segment that begins at `*at`. 1 done, 0 it needs a regular expression, -1 exception
 * set. The variable's name is appended to `names`. */
static int
parse_segment(const char **at, const char *end, fio_segment *segment, PyObject *names)
{
    const char *slash = memchr(*at, '/', (size_t)(end - *at));
    const char *stop = slash == NULL ? end : slash;
    const char *open = memchr(*at, '{', (size_t)(stop - *at));
    if (open == NULL) {
        segment->head = (fio_view){*at, (size_t)(stop - *at)};
        segment->variable = false;
    }
    else {
        const char *close = memchr(open, '}', (size_t)(stop - open));
        if (close == NULL || memchr(open, ':', (size_t)(close - open)) != NULL
            || memchr(close, '{', (size_t)(stop - close)) != NULL) {
            return 0;
        }
        segment->head = (fio_view){*at, (size_t)(open - *at)};
        segment->tail = (fio_view){close + 1, (size_t)(stop - close - 1)};
        segment->variable = true;
        PyObject *name = PyUnicode_FromStringAndSize(open + 1, close - open - 1);
        if (name != NULL) {
            PyUnicode_InternInPlace(&name);
        }
        int status = name == NULL ? -1 : PyList_Append(names, name);
        Py_XDECREF(name);
        if (status < 0) {
            return -1;
        }
    }
    *at = slash == NULL ? end : slash + 1;
    return 1;
}

/* Makes `entry` match its path without a regular expression and gives the variables' names. NULL
 * without an exception: that cannot be done. */
static PyObject *
parse_dynamic(fio_entry *entry)
{
    size_t count = 0;
    for (size_t i = 0; i < entry->text_size; i++) {
        count += entry->text[i] == '/';
    }
    if (count > FIO_ROUTE_SEGMENTS) {
        return NULL;
    }
    PyObject *names = PyList_New(0);
    entry->segments = PyMem_Calloc(count, sizeof(*entry->segments));
    if (names == NULL || entry->segments == NULL) {
        Py_XDECREF(names);
        return PyErr_NoMemory();
    }
    const char *at = entry->text + 1;
    const char *end = entry->text + entry->text_size;
    int status = 1;
    for (size_t i = 0; i < count && status == 1; i++) {
        status = parse_segment(&at, end, &entry->segments[i], names);
    }
    if (status != 1 || PyList_GET_SIZE(names) > FIO_ROUTE_VARIABLES) {
        Py_DECREF(names);
        return NULL;
    }
    entry->segment_count = (uint16_t)count;
    entry->kind = FIO_ENTRY_DYNAMIC;
    entry->probe = FIO_NO_PROBE;
    for (uint16_t i = 0; i < count; i++) {
        if (!entry->segments[i].variable) {
            entry->probe = i;
            entry->probe_hash = fio_hash_text(entry->segments[i].head);
        }
    }
    return names;
}

/* Makes `entry` ask a compiled regular expression. */
static PyObject *
use_pattern(fio_entry *entry, PyObject *pattern)
{
    if (pattern == Py_None) {
        PyErr_Format(PyExc_ValueError, "path '%s' needs its compiled pattern", entry->text);
        return NULL;
    }
    entry->kind = FIO_ENTRY_PATTERN;
    entry->pattern = PyObject_GetAttrString(pattern, "fullmatch");
    return entry->pattern == NULL ? NULL : PyList_New(0);
}

/* The list of the names of the path's variables. */
static PyObject *
entry_compile(fio_entry *entry, PyObject *pattern)
{
    if (memchr(entry->text, '{', entry->text_size) == NULL && pattern == Py_None) {
        if (entry->text_size == 0) {
            entry->text[0] = '/'; /* aiohttp: an empty path is "/" in the end */
            entry->text_size = 1;
        }
        return PyList_New(0);
    }
    PyObject *names = parse_dynamic(entry);
    if (names == NULL && !PyErr_Occurred()) {
        names = use_pattern(entry, pattern);
    }
    return names;
}

/* -- the Python type ------------------------------------------------------------------------------
 */

/* The parameters add() and add_prefix() share, in their order. */
enum { ARG_METHOD, ARG_PATH, ARG_HANDLER, ARG_INFO, ARG_APP, ARG_SIGNALS, ARG_PATTERN, ARG_COUNT };

/* Files `entry` (taken over) with a new route; returns the route. */
static PyObject *
router_add_entry(FioRouter *self, fio_entry *entry, PyObject *names, PyObject *const *values)
{
    PyObject *arguments[] = {values[ARG_HANDLER], values[ARG_INFO],   values[ARG_APP], names,
                             self->match_info,    values[ARG_SIGNALS]};
    PyObject *route = PyObject_Vectorcall((PyObject *)self->st->RouteType, arguments, 6, NULL);
    if (route == NULL) {
        entry_free(entry);
        return NULL;
    }
    entry->method = method_of_name(values[ARG_METHOD]);
    entry->method_name = Py_NewRef(values[ARG_METHOD]);
    entry->route = (FioRoute *)Py_NewRef(route);
    fio_view path = {entry->text, entry->text_size};
    if (router_insert(self, key_of_path(path), entry) < 0) {
        Py_CLEAR(route);
    }
    return route;
}

static int
check_method(PyObject *method)
{
    if (!PyUnicode_Check(method) || PyUnicode_GET_LENGTH(method) == 0
        || !PyUnicode_IS_ASCII(method)) {
        PyErr_Format(PyExc_ValueError, "method must be the name of an HTTP method or '*', got %R",
                     method);
        return -1;
    }
    return 0;
}

static PyObject *
router_add_path(FioRouter *self, fio_entry_kind kind, const fio_params *spec, PyObject *const *args,
                Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(self);
    PyObject *values[ARG_COUNT] = {NULL, NULL, NULL, Py_None, Py_None, Py_False, Py_None};
    if (fio_args_parse(spec, args, nargs, kwnames, values) < 0
        || check_method(values[ARG_METHOD]) < 0) {
        return NULL;
    }
    fio_entry *entry = entry_new(kind, values[ARG_PATH]);
    if (entry == NULL) {
        return NULL;
    }
    PyObject *names = kind == FIO_ENTRY_PREFIX ? Py_BuildValue("(O)", self->st->str_filename)
                                               : entry_compile(entry, values[ARG_PATTERN]);
    if (names == NULL) {
        entry_free(entry);
        return NULL;
    }
    PyObject *route = router_add_entry(self, entry, names, values);
    Py_DECREF(names);
    return route;
}

PyDoc_STRVAR(router_add_doc,
             "add($self, method, path, handler, *, info=None, app=None, signals=False,\n"
             "    pattern=None)\n--\n\n"
             "Add a resource and return its Route. path is decoded (as yarl's URL.path_safe) and\n"
             "may have variables: {name} stands for [^{}/]+; where a segment has more than one of\n"
             "them, or {name:regex}, pattern is the whole path's compiled regular expression.\n"
             "method '*' is any.");

static PyObject *
router_add(FioRouter *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const params[] = {"method", "path",    "handler", "info",
                                         "app",    "signals", "pattern", NULL};
    static const fio_params spec = {"add", params, 3, 3};
    return router_add_path(self, FIO_ENTRY_PLAIN, &spec, args, nargs, kwnames);
}

PyDoc_STRVAR(router_add_prefix_doc,
             "add_prefix($self, method, prefix, handler, *, info=None, app=None, signals=False)\n"
             "--\n\nAdd all paths below prefix; what follows it is the variable \"filename\".");

static PyObject *
router_add_prefix(FioRouter *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const params[] = {"method", "prefix",  "handler", "info",
                                         "app",    "signals", NULL};
    static const fio_params spec = {"add_prefix", params, 3, 3};
    return router_add_path(self, FIO_ENTRY_PREFIX, &spec, args, nargs, kwnames);
}

static int
check_router(FioRouter *self, PyObject *router)
{
    if (!Py_IS_TYPE(router, self->st->RouterType) || router == (PyObject *)self) {
        PyErr_Format(PyExc_TypeError, "router must be another Router, not %R", router);
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(router_add_router_doc,
             "add_router($self, prefix, router, /)\n--\n\n"
             "Hand all paths below prefix to another Router, whose paths begin with it and whose "
             "fallbacks then answer.");

static PyObject *
router_add_router(FioRouter *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(self);
    static const char *const params[] = {"prefix", "router", NULL};
    static const fio_params spec = {"add_router", params, 2, 2};
    PyObject *values[] = {NULL, NULL};
    if (fio_args_parse(&spec, args, nargs, kwnames, values) < 0
        || check_router(self, values[1]) < 0) {
        return NULL;
    }
    fio_entry *entry = entry_new(FIO_ENTRY_ROUTER, values[0]);
    if (entry == NULL) {
        return NULL;
    }
    entry->router = (FioRouter *)Py_NewRef(values[1]);
    fio_view path = {entry->text, entry->text_size};
    if (router_insert(self, key_of_path(path), entry) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(router_add_rule_doc,
             "add_rule($self, matches, router, /)\n--\n\n"
             "Hand requests for which matches(host) is true to another Router, before all paths.");

static PyObject *
router_add_rule(FioRouter *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(self);
    static const char *const params[] = {"matches", "router", NULL};
    static const fio_params spec = {"add_rule", params, 2, 2};
    PyObject *values[] = {NULL, NULL};
    if (fio_args_parse(&spec, args, nargs, kwnames, values) < 0
        || check_router(self, values[1]) < 0) {
        return NULL;
    }
    fio_rule *rule = PyMem_Calloc(1, sizeof(*rule));
    if (rule == NULL) {
        return PyErr_NoMemory();
    }
    rule->matches = Py_NewRef(values[0]);
    rule->router = (FioRouter *)Py_NewRef(values[1]);
    fio_rule **last = &self->rules;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = rule;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(router_set_fallback_doc,
             "set_fallback($self, not_found, method_not_allowed=None, /)\n--\n\n"
             "The Route for unknown paths, and the callable (method, allowed_methods) -> Route for "
             "paths that lack the method (None: not_found for them too).");

static PyObject *
router_set_fallback(FioRouter *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(self);
    static const char *const params[] = {"not_found", "method_not_allowed", NULL};
    static const fio_params spec = {"set_fallback", params, 2, 1};
    PyObject *values[] = {NULL, Py_None};
    if (fio_args_parse(&spec, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    if (!Py_IS_TYPE(values[0], self->st->RouteType)) {
        PyErr_Format(PyExc_TypeError, "not_found must be a Route, not %.200s",
                     Py_TYPE(values[0])->tp_name);
        return NULL;
    }
    Py_XSETREF(self->not_found, (FioRoute *)Py_NewRef(values[0]));
    Py_XSETREF(self->refuse, values[1] == Py_None ? NULL : Py_NewRef(values[1]));
    Py_RETURN_NONE;
}

/* A head that has only what routing looks at: base is method, path and host one after the other. */
static void
head_for_lookup(fio_head *head, const fio_view parts[3])
{
    memset(head, 0, offsetof(fio_head, fields));
    fio_span spans[3];
    uint32_t offset = 0;
    for (int i = 0; i < 3; i++) {
        spans[i] = (fio_span){offset, (uint32_t)parts[i].size};
        offset += (uint32_t)parts[i].size;
    }
    head->method = (uint8_t)fio_method_lookup(parts[0]);
    head->method_span = spans[0];
    head->path = spans[1];
    head->host = spans[2];
    if (parts[2].size > 0) {
        head->field_count = 1;
        head->fields[0] = (fio_field){.value = spans[2], .id = FIO_FIELD_HOST};
    }
}

PyDoc_STRVAR(router_resolve_doc,
             "resolve($self, method, path, host='', /)\n--\n\n"
             "The (Route, MatchInfo) of a request for path, which is percent-encoded as sent.");

static PyObject *
router_resolve(FioRouter *self, PyObject *const *args, Py_ssize_t nargs)
{
    fio_view parts[3] = {{"", 0}, {"", 0}, {"", 0}};
    for (Py_ssize_t i = 0; i < nargs && i < 3; i++) {
        Py_ssize_t size = 0;
        parts[i].base = PyUnicode_Check(args[i]) ? PyUnicode_AsUTF8AndSize(args[i], &size) : NULL;
        parts[i].size = (size_t)size;
        if (parts[i].base == NULL) {
            break;
        }
    }
    if (nargs < 2 || nargs > 3 || parts[0].base == NULL || parts[1].base == NULL
        || parts[2].base == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "resolve() takes two or three str");
        }
        return NULL;
    }
    size_t size = parts[0].size + parts[1].size + parts[2].size;
    fio_head *head = PyMem_Malloc(sizeof(*head) + size);
    if (head == NULL) {
        return PyErr_NoMemory();
    }
    char *base = (char *)(head + 1);
    size_t used = 0;
    for (int i = 0; i < 3; i++) {
        memcpy(base + used, parts[i].base, parts[i].size);
        used += parts[i].size;
    }
    head_for_lookup(head, parts);
    fio_match match = {0};
    PyObject *result = NULL;
    if (fio_router_match(self, head, base, &match) == FIO_OK) {
        PyObject *info = fio_match_info_new(self->st, &match, base);
        result = info == NULL ? NULL : PyTuple_Pack(2, match.route, info);
        Py_XDECREF(info);
    }
    fio_match_clear(&match);
    PyMem_Free(head);
    return result;
}

static PyObject *
router_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const params[] = {"match_info", NULL};
    static const fio_params spec = {"Router", params, 1, 0};
    fio_state *st = fio_state_of_type(type);
    PyObject *match_info = Py_None;
    if (fio_args_parse_tuple(&spec, args, kwargs, &match_info) < 0) {
        return NULL;
    }
    FioRouter *self = (FioRouter *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->st = st;
        self->match_info = Py_NewRef(match_info == Py_None ? (PyObject *)st->MatchInfoType
                                                           : match_info);
    }
    return (PyObject *)self;
}

static int
router_traverse(FioRouter *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->match_info);
    Py_VISIT(self->not_found);
    Py_VISIT(self->refuse);
    for (size_t i = 0; i < self->capacity; i++) {
        for (fio_entry *entry = self->slots[i].first; entry != NULL; entry = entry->next) {
            Py_VISIT(entry->route);
            Py_VISIT(entry->router);
            Py_VISIT(entry->pattern);
        }
    }
    for (fio_rule *rule = self->rules; rule != NULL; rule = rule->next) {
        Py_VISIT(rule->matches);
        Py_VISIT(rule->router);
    }
    return 0;
}

static int
router_clear(FioRouter *self)
{
    Py_CLEAR(self->match_info);
    Py_CLEAR(self->not_found);
    Py_CLEAR(self->refuse);
    fio_slot *slots = self->slots;
    size_t capacity = self->capacity;
    fio_rule *rule = self->rules;
    self->slots = NULL;
    self->capacity = 0;
    self->used = 0;
    self->rules = NULL;
    for (size_t i = 0; i < capacity; i++) {
        entry_free(slots[i].first);
        PyMem_Free(slots[i].key);
    }
    PyMem_Free(slots);
    while (rule != NULL) {
        fio_rule *next = rule->next;
        Py_DECREF(rule->matches);
        Py_DECREF((PyObject *)rule->router);
        PyMem_Free(rule);
        rule = next;
    }
    return 0;
}

static void
router_dealloc(FioRouter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)router_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef router_methods[] = {
    {"add", FIO_METHOD(router_add), METH_FASTCALL | METH_KEYWORDS, router_add_doc},
    {"add_prefix", FIO_METHOD(router_add_prefix), METH_FASTCALL | METH_KEYWORDS,
     router_add_prefix_doc},
    {"add_router", FIO_METHOD(router_add_router), METH_FASTCALL | METH_KEYWORDS,
     router_add_router_doc},
    {"add_rule", FIO_METHOD(router_add_rule), METH_FASTCALL | METH_KEYWORDS, router_add_rule_doc},
    {"resolve", FIO_METHOD(router_resolve), METH_FASTCALL, router_resolve_doc},
    {"set_fallback", FIO_METHOD(router_set_fallback), METH_FASTCALL | METH_KEYWORDS,
     router_set_fallback_doc},
    {NULL},
};

PyDoc_STRVAR(router_doc, "Router(match_info=None)\n--\n\n"
                         "A table of routes. Under one literal beginning the resource added first "
                         "decides; longer beginnings are tried before shorter ones.");

static PyType_Slot router_slots[] = {
    {Py_tp_doc, FIO_UNCONST(router_doc)},
    {Py_tp_new, router_new},
    {Py_tp_dealloc, router_dealloc},
    {Py_tp_clear, router_clear},
    {Py_tp_traverse, router_traverse},
    {Py_tp_methods, router_methods},
    {0, NULL},
};

static PyType_Spec router_spec = {
    .name = "fastaio._core.Router",
    .basicsize = sizeof(FioRouter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = router_slots,
};

int
fio_router_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->RouterType, &router_spec, NULL);
}
