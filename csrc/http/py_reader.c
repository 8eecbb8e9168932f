/* RequestReader: bytes in, heads and bodies of requests out, by the parser that the server uses and
 * with all its checks. It does no I/O and needs no loop. */

#include "http/py_reader.h"

#include "base/args.h"
#include "base/buf.h"
#include "http/parser.h"
#include "http/token.h"

enum {
    READER_HEAD,
    READER_BODY,
    READER_TUNNEL, /* behind CONNECT or Upgrade: another protocol's bytes */
    READER_CLOSED, /* behind a message after which the connection closes */
};

typedef struct {
    PyObject_HEAD
    fio_limits limits;
    fio_parser parser;
    fio_buf pending;   /* owned: bytes that were fed and not used yet */
    PyObject *failure; /* owned exception to be raised, or NULL */
    uint8_t phase;
    fio_head head;
} FioRequestReader;

/* -- RequestHead ----------------------------------------------------------------------------------
 */

static PyStructSequence_Field request_head_fields[] = {
    {"method", "str"},
    {"target", "bytes: the request target as sent"},
    {"path", "bytes, still percent-encoded"},
    {"query", "bytes, still percent-encoded, without '?'; empty when there is none"},
    {"host", "bytes: the authority meant, of the target or the Host field; may be empty"},
    {"minor", "int: 1 of HTTP/1.1, 0 of HTTP/1.0"},
    {"headers", "list of (bytes, bytes), as sent"},
    {"keep_alive", "bool: the connection may be used for another request"},
    {"content_length", "int, or None: not given"},
    {"chunked", "bool: the body is chunked"},
    {"expect_continue", "bool: the client waits for 100 Continue"},
    {"upgrade", "bool: the client asks for another protocol"},
    {NULL, NULL},
};

static PyStructSequence_Desc request_head_desc = {
    .name = "fastaio.http.RequestHead",
    .doc = "The head of a request, made by RequestReader.",
    .fields = request_head_fields,
    .n_in_sequence = (int)(sizeof(request_head_fields) / sizeof(request_head_fields[0])) - 1,
};

static PyObject *
span_bytes(const char *base, fio_span span)
{
    return PyBytes_FromStringAndSize(base + span.offset, (Py_ssize_t)span.size);
}

static PyObject *
headers_list(const fio_head *head, const char *base)
{
    PyObject *list = PyList_New((Py_ssize_t)head->field_count);
    for (uint32_t i = 0; list != NULL && i < head->field_count; i++) {
        PyObject *name = span_bytes(base, head->fields[i].name);
        PyObject *value = span_bytes(base, head->fields[i].value);
        PyObject *pair = name == NULL || value == NULL ? NULL : PyTuple_Pack(2, name, value);
        Py_XDECREF(name);
        Py_XDECREF(value);
        if (pair == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
    }
    return list;
}

static PyObject *
request_head_new(const fio_state *st, const fio_head *head, const char *base)
{
    PyObject *self = PyStructSequence_New(st->RequestHeadType);
    if (self == NULL) {
        return NULL;
    }
    PyObject *const items[] = {
        PyUnicode_DecodeASCII(base + head->method_span.offset, (Py_ssize_t)head->method_span.size,
                              NULL),
        span_bytes(base, head->target),
        span_bytes(base, head->path),
        span_bytes(base, head->query),
        span_bytes(base, head->host),
        PyLong_FromLong(head->minor),
        headers_list(head, base),
        PyBool_FromLong(head->keep_alive),
        head->has_length ? PyLong_FromUnsignedLongLong(head->content_length) : Py_NewRef(Py_None),
        PyBool_FromLong(head->chunked),
        PyBool_FromLong(head->expect_continue),
        PyBool_FromLong(head->upgrade),
    };
    const Py_ssize_t count = (Py_ssize_t)(sizeof(items) / sizeof(items[0]));
    bool complete = true;
    for (Py_ssize_t i = 0; i < count; i++) {
        complete = complete && items[i] != NULL;
        PyStructSequence_SET_ITEM(self, i, items[i]); /* steals */
    }
    if (!complete) {
        Py_CLEAR(self);
    }
    return self;
}

/* -- reading --------------------------------------------------------------------------------------
 */

static int
emit(PyObject *events, FIO_STEALS PyObject *event)
{
    const int result = event == NULL ? -1 : PyList_Append(events, event);
    Py_XDECREF(event);
    return result;
}

PyObject *
fio_request_error_new(const fio_state *st, int result, const char *reason)
{
    PyObject *exc = PyObject_CallFunction((PyObject *)st->HttpRequestErrorType, "s", reason);
    PyObject *status = PyLong_FromLong(-result);
    if (exc == NULL || status == NULL || PyObject_SetAttr(exc, st->str_status, status) < 0) {
        Py_CLEAR(exc);
    }
    Py_XDECREF(status);
    return exc;
}

/* The parser refuses the message: keeps the exception that says so. -1 only without memory. */
static int
note_failure(FioRequestReader *self, const fio_state *st, int result)
{
    PyObject *exc = fio_request_error_new(st, result, self->parser.error);
    Py_XSETREF(self->failure, exc);
    return exc == NULL ? -1 : 0;
}

static int
finish_message(FioRequestReader *self, PyObject *events)
{
    const fio_head *head = &self->head;
    if (head->upgrade || head->method == FIO_METHOD_CONNECT) {
        self->phase = READER_TUNNEL;
    }
    else if (!head->keep_alive) {
        self->phase = READER_CLOSED;
    }
    else {
        self->phase = READER_HEAD;
        fio_parser_start(&self->parser, &self->limits, &self->head);
    }
    return emit(events, Py_NewRef(Py_None));
}

/* Each step takes bytes from `pending`: 1 go on, 0 nothing more to do, -1 exception set. */
static int
read_head(FioRequestReader *self, const fio_state *st, PyObject *events)
{
    const char *base = fio_buf_data(&self->pending);
    const int result = fio_parser_head(&self->parser, base, fio_buf_size(&self->pending));
    if (result == FIO_PARSER_MORE) {
        return 0;
    }
    if (result < 0) {
        return note_failure(self, st, result);
    }
    if (emit(events, request_head_new(st, &self->head, base)) < 0) {
        return -1;
    }
    fio_buf_take(&self->pending, self->head.size);
    self->phase = READER_BODY;
    return 1;
}

static int
read_body(FioRequestReader *self, const fio_state *st, PyObject *events)
{
    size_t used = 0;
    fio_view piece = {NULL, 0};
    const char *data = fio_buf_data(&self->pending);
    const int result = fio_parser_body(&self->parser, data, fio_buf_size(&self->pending), &used,
                                       &piece);
    if (result < 0) {
        return note_failure(self, st, result);
    }
    if (result == FIO_PARSER_DATA
        && emit(events, PyBytes_FromStringAndSize(piece.base, (Py_ssize_t)piece.size)) < 0) {
        return -1;
    }
    fio_buf_take(&self->pending, used);
    if (result == FIO_PARSER_DONE) {
        return finish_message(self, events) < 0 ? -1 : 1;
    }
    return result == FIO_PARSER_DATA;
}

static int
read_step(FioRequestReader *self, const fio_state *st, PyObject *events)
{
    const size_t size = fio_buf_size(&self->pending);
    switch (self->phase) {
    case READER_HEAD:
        return size == 0 ? 0 : read_head(self, st, events);
    case READER_BODY:
        return read_body(self, st, events);
    case READER_TUNNEL:
        if (size > 0
            && emit(events,
                    PyBytes_FromStringAndSize(fio_buf_data(&self->pending), (Py_ssize_t)size))
                   < 0) {
            return -1;
        }
        break;
    default:
        break;
    }
    fio_buf_take(&self->pending, size);
    return 0;
}

PyDoc_STRVAR(
    request_reader_feed_doc,
    "feed($self, data, /)\n--\n\n"
    "Read on in the bytes-like `data`; returns a list of what it completed: a RequestHead,\n"
    "pieces of its body as bytes, None where a request ends, then the next RequestHead.\n\n"
    "Behind a CONNECT or Upgrade request all further bytes are given as they are; behind\n"
    "one with keep_alive False they are dropped. Raises HttpRequestError for a malformed\n"
    "request or one over a limit; if `data` completed something before it, the next call\n"
    "does.");

static PyObject *
request_reader_feed(FioRequestReader *self, PyObject *data)
{
    FIO_HOLD(self);
    const fio_state *st = fio_state_of_type(Py_TYPE(self));
    Py_buffer buffer;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    const int added = self->failure != NULL
                          ? 0
                          : fio_buf_append(&self->pending, buffer.buf, (size_t)buffer.len);
    PyBuffer_Release(&buffer);
    PyObject *events = added < 0 ? NULL : PyList_New(0);
    if (events == NULL) {
        return NULL;
    }
    int more = self->failure == NULL;
    while (more > 0) {
        more = read_step(self, st, events);
    }
    if (more < 0) {
        Py_DECREF(events);
        return NULL;
    }
    if (self->failure != NULL && PyList_GET_SIZE(events) == 0) {
        Py_DECREF(events);
        PyErr_SetObject((PyObject *)Py_TYPE(self->failure), self->failure);
        return NULL;
    }
    return events;
}

/* -- life -----------------------------------------------------------------------------------------
 */

static int
take_limits(fio_limits *limits, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"line", "field", "fields", "head", "body", NULL};
    static const uint64_t most[] = {INT32_MAX, INT32_MAX, FIO_FIELDS_MAX, INT32_MAX, UINT64_MAX};
    static const fio_params params = {"RequestReader", names, 0, 0};
    PyObject *given[] = {NULL, NULL, NULL, NULL, NULL};
    if (fio_args_parse_tuple(&params, args, kwargs, given) < 0) {
        return -1;
    }
    *limits = fio_limits_default;
    uint64_t values[] = {limits->line, limits->field, limits->fields, limits->head, limits->body};
    for (size_t i = 0; names[i] != NULL; i++) {
        if (fio_args_number(names[i], given[i], most[i], &values[i]) < 0) {
            return -1;
        }
    }
    *limits = (fio_limits){(uint32_t)values[0], (uint32_t)values[1], (uint32_t)values[2],
                           (uint32_t)values[3], values[4]};
    return 0;
}

static PyObject *
request_reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    fio_limits limits;
    if (take_limits(&limits, args, kwargs) < 0) {
        return NULL;
    }
    FioRequestReader *self = (FioRequestReader *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->limits = limits;
        fio_parser_start(&self->parser, &self->limits, &self->head);
    }
    return (PyObject *)self;
}

static int
request_reader_traverse(FioRequestReader *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->failure);
    return 0;
}

static int
request_reader_clear(FioRequestReader *self)
{
    Py_CLEAR(self->failure);
    return 0;
}

static void
request_reader_dealloc(FioRequestReader *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)request_reader_clear(self);
    fio_buf_free(&self->pending);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef request_reader_methods[] = {
    {"feed", (PyCFunction)request_reader_feed, METH_O, request_reader_feed_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(request_reader_doc,
             "RequestReader(*, line=8190, field=8190, fields=128, head=65536, body=1048576)\n--\n\n"
             "Reads the requests of one connection, with no I/O of its own, as the server does.\n\n"
             "The limits are bytes of the request line, bytes of one field, number of fields (at\n"
             "most 128), bytes of the whole head (also of all trailers and of chunk extensions),\n"
             "and bytes of the body (0: no limit).");

static PyType_Slot request_reader_slots[] = {
    {Py_tp_doc, FIO_UNCONST(request_reader_doc)},
    {Py_tp_new, request_reader_new},
    {Py_tp_dealloc, request_reader_dealloc},
    {Py_tp_traverse, request_reader_traverse},
    {Py_tp_clear, request_reader_clear},
    {Py_tp_methods, request_reader_methods},
    {0, NULL},
};

static PyType_Spec request_reader_spec = {
    .name = "fastaio.http.RequestReader",
    .basicsize = sizeof(FioRequestReader),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = request_reader_slots,
};

int
fio_py_reader_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    PyTypeObject *head = PyStructSequence_NewType(&request_head_desc);
    if (head == NULL) {
        return -1;
    }
    Py_XSETREF(st->RequestHeadType, head);
    if (PyModule_AddType(module, head) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->RequestReaderType, &request_reader_spec, NULL);
}
