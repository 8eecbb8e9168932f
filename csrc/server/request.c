/* The life of a Request: made from a parsed head, kept beyond the read buffer, dropped by its
 * connection, and its memory used again. The attributes are in request_fields.c. */

#include "base/args.h"
#include "http/parser.h"
#include "server/conn.h"
#include "server/request_parts.h"

/* -- heads ----------------------------------------------------------------------------------------
 */

fio_head *
fio_head_new(fio_state *st)
{
    fio_head *head = fio_pool_take(st->pool_head);
    if (head == NULL && (head = PyMem_Malloc(sizeof(*head))) == NULL) {
        PyErr_NoMemory();
    }
    return head;
}

void
fio_head_free(fio_state *st, fio_head *head)
{
    fio_pool_give(st->pool_head, head, PyMem_Free);
}

/* -- life -----------------------------------------------------------------------------------------
 */

static FioRequest *
request_alloc(fio_state *st, PyTypeObject *type)
{
    /* A subclass without slots of its own has the same lay-out, so its memory may be shared. */
    if (type->tp_basicsize == (Py_ssize_t)sizeof(FioRequest)) {
        PyObject *self = fio_pool_take(st->pool_request);
        if (self != NULL) {
            memset((char *)self + sizeof(PyObject), 0,
                   offsetof(FioRequest, made) - sizeof(PyObject));
            ((FioRequest *)self)->dict = NULL;
            ((FioRequest *)self)->weakrefs = NULL;
            (void)PyObject_Init(self, type);
            PyObject_GC_Track(self);
            return (FioRequest *)self;
        }
    }
    return (FioRequest *)type->tp_alloc(type, 0);
}

FioRequest *
fio_request_new(fio_state *st, PyTypeObject *type, struct FioConn *conn, fio_head *head,
                const char *base)
{
    FioRequest *self = request_alloc(st, type);
    if (self == NULL) {
        fio_head_free(st, head);
        return NULL;
    }
    self->conn = (FioConn *)Py_XNewRef((PyObject *)conn);
    FIO_INIT_MONITOR(self, conn == NULL ? NULL : conn->loop);
    self->st = st;
    self->pool = fio_pool_hold(st->pool_request);
    self->head_pool = fio_pool_hold(st->pool_head);
    self->head = head;
    self->base = base;
    self->max_size = FIO_REQUEST_MAX_SIZE;
    return self;
}

int
fio_request_keep(FioRequest *request)
{
    if (request->kept != NULL) {
        return 0;
    }
    size_t head_size = request->head->size;
    bool copy_body = request->whole_owner == NULL && request->whole.size > 0;
    char *kept = PyMem_Malloc(head_size + (copy_body ? request->whole.size : 0) + 1);
    if (kept == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(kept, request->base, head_size);
    request->base = kept;
    request->kept = kept;
    if (copy_body) {
        memcpy(kept + head_size, request->whole.base, request->whole.size);
        request->whole.base = kept + head_size;
    }
    return 0;
}

void
fio_request_drop_conn(FioRequest *request)
{
    if (request->conn != NULL) {
        Py_XSETREF(request->past_transport, Py_XNewRef(request->conn->transport));
    }
    Py_CLEAR(request->conn);
}

static int
request_traverse(FioRequest *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->conn);
    Py_VISIT(self->past_transport);
    Py_VISIT(self->match.route);
    Py_VISIT(self->match.decoded);
    Py_VISIT(self->body);
    for (uint32_t left = self->made_mask; left != 0; left &= left - 1) {
        Py_VISIT(self->made[__builtin_ctz(left)]);
    }
    Py_VISIT(self->dict);
    FIO_VISIT_MONITOR(self);
    return 0;
}

static int
request_clear(FioRequest *self)
{
    Py_CLEAR(self->conn);
    Py_CLEAR(self->past_transport);
    fio_match_clear(&self->match);
    if (self->body != NULL) {
        /* A collection clears us, and the connection behind the body, in any order. */
        fio_body_detach(self->body);
    }
    Py_CLEAR(self->body);
    Py_CLEAR(self->dict);
    while (self->made_mask != 0) {
        int attribute = __builtin_ctz(self->made_mask);
        self->made_mask &= self->made_mask - 1;
        Py_DECREF(self->made[attribute]);
    }
    return 0;
}

static void
request_dealloc(FioRequest *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    (void)request_clear(self);
    FIO_CLEAR_MONITOR(self);
    Py_CLEAR(self->whole_owner);
    fio_buf_free(&self->whole_ends);
    PyMem_Free(self->kept);
    fio_pool *pool = self->pool;
    if (pool == NULL) { /* of a constructor that failed */
        type->tp_free(self);
        Py_DECREF(type);
        return;
    }
    fio_pool_give(self->head_pool, self->head, PyMem_Free);
    fio_pool_unhold(self->head_pool);
    if (type->tp_basicsize == (Py_ssize_t)sizeof(FioRequest) && type->tp_finalize == NULL) {
        fio_pool_give(pool, self, PyObject_GC_Del);
    }
    else {
        type->tp_free(self);
    }
    fio_pool_unhold(pool);
    Py_DECREF(type);
}

/* -- made from Python -----------------------------------------------------------------------------
 */

/* Parses `head`, which goes on living in *kept. */
static fio_head *
parse_head(fio_state *st, PyObject *text, char **kept)
{
    fio_head *head = fio_head_new(st);
    size_t size = (size_t)PyBytes_GET_SIZE(text);
    *kept = PyMem_Malloc(size + 1);
    if (head == NULL || *kept == NULL) {
        PyErr_NoMemory();
        goto error;
    }
    memcpy(*kept, PyBytes_AS_STRING(text), size);
    fio_parser parser;
    fio_parser_start(&parser, &fio_limits_default, head);
    int status = fio_parser_head(&parser, *kept, size);
    if (status != FIO_PARSER_HEAD) {
        PyErr_Format(PyExc_ValueError, "no complete HTTP/1 request head: %s",
                     status < 0 ? parser.error : "more bytes needed");
        goto error;
    }
    return head;
error:
    if (head != NULL) {
        fio_head_free(st, head);
    }
    PyMem_Free(*kept);
    return NULL;
}

PyDoc_STRVAR(request_from_bytes_doc,
             "_from_bytes($type, head, body=b'', like=None, /)\n--\n\n"
             "A request made from the bytes of a head (with its empty line) and a body; `like` is "
             "a request whose connection it shares.");

static PyObject *
request_from_bytes(PyTypeObject *type, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const params[] = {"head", "body", "like", NULL};
    static const fio_params spec = {"_from_bytes", params, 3, 1};
    PyObject *values[] = {NULL, NULL, Py_None};
    fio_state *st = fio_state_of_type(type);
    if (fio_args_parse(&spec, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    if (!PyBytes_Check(values[0]) || (values[1] != NULL && !PyBytes_Check(values[1]))
        || (values[2] != Py_None && !PyObject_TypeCheck(values[2], st->RequestType))) {
        PyErr_SetString(PyExc_TypeError, "_from_bytes() takes bytes, bytes and a Request");
        return NULL;
    }
    FioRequest *like = values[2] == Py_None ? NULL : (FioRequest *)values[2];
    FIO_HOLD_MONITOR_OR_NONE(like);
    FioConn *conn = like == NULL ? NULL : like->conn;
    char *kept = NULL;
    fio_head *head = parse_head(st, values[0], &kept);
    if (head == NULL) {
        return NULL;
    }
    FioRequest *self = fio_request_new(st, type, conn, head, kept);
    if (self == NULL) {
        PyMem_Free(kept);
        return NULL;
    }
    self->kept = kept;
    if (values[1] != NULL && PyBytes_GET_SIZE(values[1]) > 0) {
        self->has_body = true;
        self->whole_owner = Py_NewRef(values[1]);
        self->whole.base = PyBytes_AS_STRING(values[1]);
        self->whole.size = (size_t)PyBytes_GET_SIZE(values[1]);
    }
    return (PyObject *)self;
}

static int
override_one(FioRequest *self, PyObject *name, PyObject *value)
{
    static const struct {
        const char *name;
        fio_request_attribute attribute;
    } settable[] = {
        {"app", FIO_REQUEST_APP},         {"host", FIO_REQUEST_HOST},
        {"loop", FIO_REQUEST_LOOP},       {"match_info", FIO_REQUEST_MATCH_INFO},
        {"method", FIO_REQUEST_METHOD},   {"protocol", FIO_REQUEST_PROTOCOL},
        {"rel_url", FIO_REQUEST_REL_URL}, {"remote", FIO_REQUEST_REMOTE},
        {"scheme", FIO_REQUEST_SCHEME},   {"state", FIO_REQUEST_STATE},
        {"task", FIO_REQUEST_TASK},       {"transport", FIO_REQUEST_TRANSPORT},
        {"version", FIO_REQUEST_VERSION},
    };
    if (PyUnicode_CompareWithASCIIString(name, "client_max_size") == 0) {
        unsigned long long size = PyLong_AsUnsignedLongLong(value);
        if (size == (unsigned long long)-1 && PyErr_Occurred()) {
            return -1;
        }
        self->max_size = size;
        return 0;
    }
    for (size_t i = 0; i < sizeof(settable) / sizeof(settable[0]); i++) {
        if (PyUnicode_CompareWithASCIIString(name, settable[i].name) == 0) {
            fio_request_set(self, settable[i].attribute, Py_NewRef(value));
            return 0;
        }
    }
    PyErr_Format(PyExc_TypeError, "_override() got an unexpected keyword argument '%U'", name);
    return -1;
}

PyDoc_STRVAR(request_override_doc,
             "_override($self, /, **attributes)\n--\n\n"
             "Replace what attributes show: app, client_max_size, host, loop, match_info, method, "
             "protocol, rel_url, remote, scheme, state, task, transport, version.");

static PyObject *
request_override(FioRequest *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD_MONITOR(self);
    if (nargs != 0) {
        PyErr_SetString(PyExc_TypeError, "_override() takes keyword arguments only");
        return NULL;
    }
    Py_ssize_t count = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (override_one(self, PyTuple_GET_ITEM(kwnames, i), args[i]) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(request_get_extra_info_doc,
             "get_extra_info($self, name, default=None)\n--\n\n"
             "The transport's get_extra_info(), default without a transport.");

static PyObject *
request_get_extra_info(FioRequest *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD_MONITOR(self);
    static const char *const params[] = {"name", "default", NULL};
    static const fio_params spec = {"get_extra_info", params, 2, 1};
    PyObject *values[] = {NULL, Py_None};
    if (fio_args_parse(&spec, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    PyObject *transport = PyObject_GetAttr((PyObject *)self, self->st->str_transport);
    if (transport == NULL || transport == Py_None) {
        Py_XDECREF(transport);
        return transport == NULL ? NULL : Py_NewRef(values[1]);
    }
    PyObject *info = PyObject_CallMethod(transport, "get_extra_info", "OO", values[0], values[1]);
    Py_DECREF(transport);
    return info;
}

/* -- request["key"] -------------------------------------------------------------------------------
 */

static PyObject *
request_subscript(FioRequest *self, PyObject *key)
{
    FIO_HOLD_MONITOR(self);
    if (!fio_request_has(self, FIO_REQUEST_STATE)) {
        PyErr_SetObject(PyExc_KeyError, key);
        return NULL;
    }
    return PyObject_GetItem(self->made[FIO_REQUEST_STATE], key);
}

static int
request_ass_subscript(FioRequest *self, PyObject *key, PyObject *value)
{
    FIO_HOLD_MONITOR(self);
    PyObject *state = fio_request_get(self, FIO_REQUEST_STATE);
    if (state == NULL) {
        return -1;
    }
    return value == NULL ? PyObject_DelItem(state, key) : PyObject_SetItem(state, key, value);
}

static Py_ssize_t
request_length(FioRequest *self)
{
    FIO_HOLD_MONITOR(self);
    return fio_request_has(self, FIO_REQUEST_STATE) ? PyObject_Size(self->made[FIO_REQUEST_STATE])
                                                    : 0;
}

static PyObject *
request_iter(FioRequest *self)
{
    FIO_HOLD_MONITOR(self);
    PyObject *state = fio_request_get(self, FIO_REQUEST_STATE);
    return state == NULL ? NULL : PyObject_GetIter(state);
}

static int
request_contains(FioRequest *self, PyObject *key)
{
    FIO_HOLD_MONITOR(self);
    return fio_request_has(self, FIO_REQUEST_STATE)
               ? PySequence_Contains(self->made[FIO_REQUEST_STATE], key)
               : 0;
}

static int
request_bool(PyObject *Py_UNUSED(self))
{
    return 1; /* also with an empty state */
}

static PyObject *
request_repr(FioRequest *self)
{
    FIO_HOLD_MONITOR(self);
    PyObject *method = fio_request_get(self, FIO_REQUEST_METHOD);
    PyObject *path = method == NULL ? NULL : fio_request_get(self, FIO_REQUEST_PATH);
    if (path == NULL) {
        return NULL;
    }
    /* aiohttp: the path with what is not ASCII escaped by backslashes. */
    PyObject *ascii = PyUnicode_AsEncodedString(path, "ascii", "backslashreplace");
    if (ascii == NULL) {
        return NULL;
    }
    PyObject *name = PyType_GetName(Py_TYPE(self));
    PyObject *repr = name == NULL ? NULL
                                  : PyUnicode_FromFormat("<%U %U %s >", name, method,
                                                         PyBytes_AS_STRING(ascii));
    Py_XDECREF(name);
    Py_DECREF(ascii);
    return repr;
}

PyMethodDef fio_request_methods[] = {
    {"_from_bytes", FIO_METHOD(request_from_bytes), METH_FASTCALL | METH_KEYWORDS | METH_CLASS,
     request_from_bytes_doc},
    {"_override", FIO_METHOD(request_override), METH_FASTCALL | METH_KEYWORDS,
     request_override_doc},
    {"get_extra_info", FIO_METHOD(request_get_extra_info), METH_FASTCALL | METH_KEYWORDS,
     request_get_extra_info_doc},
    {"read", (PyCFunction)fio_request_read, METH_NOARGS,
     "read($self, /)\n--\n\nAwaitable of the whole body, bytes."},
    {"text", (PyCFunction)fio_request_text, METH_NOARGS,
     "text($self, /)\n--\n\nAwaitable of the whole body as str, by its charset (else UTF-8)."},
    {"json", FIO_METHOD(fio_request_json), METH_FASTCALL | METH_KEYWORDS,
     "json($self, /, *, loads=None)\n--\n\n"
     "Awaitable of the body's text parsed by loads (default: json.loads), whose errors it raises."},
    {"release", (PyCFunction)fio_request_release, METH_NOARGS,
     "release($self, /)\n--\n\nAwaitable: reads the rest of the body and drops it."},
    {NULL},
};

static PyMemberDef request_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(FioRequest, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioRequest, weakrefs), READONLY, NULL},
    {NULL},
};

PyDoc_STRVAR(request_doc, "An HTTP request, with the attributes of aiohttp.web.Request.");

static PyType_Slot request_slots[] = {
    {Py_tp_doc, FIO_UNCONST(request_doc)},
    {Py_tp_dealloc, request_dealloc},
    {Py_tp_traverse, request_traverse},
    {Py_tp_clear, request_clear},
    {Py_tp_members, request_members},
    {Py_tp_getset, fio_request_fields},
    {Py_tp_methods, fio_request_methods},
    {Py_tp_repr, request_repr},
    {Py_tp_iter, request_iter},
    {Py_nb_bool, request_bool},
    {Py_mp_subscript, request_subscript},
    {Py_mp_ass_subscript, request_ass_subscript},
    {Py_mp_length, request_length},
    {Py_sq_contains, request_contains},
    {0, NULL},
};

static PyType_Spec request_spec = {
    .name = "fastaio._core.Request",
    .basicsize = sizeof(FioRequest),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = request_slots,
};

int
fio_request_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_request_body_setup_types(module) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->RequestType, &request_spec, NULL);
}
