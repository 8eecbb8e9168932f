/* The body of a Request: read(), text() and json() are awaitables that are done at once where the
 * body was complete when the handler was called, which is so for nearly every small one. */

#include "base/aio.h"
#include "base/args.h"
#include "base/text.h"
#include "server/conn.h"
#include "server/request_parts.h"

/* What becomes of the bytes. */
typedef enum { READ_BYTES, READ_TEXT, READ_JSON, READ_NOTHING, READ_DONE } read_kind;

/* The awaitable of a body that is still on its way: it awaits content.readany() again and again. */
typedef struct {
    PyObject_HEAD
    FioRequest *request; /* owned */
    PyObject *inner;     /* owned: iterator of the readany() being waited for, or NULL */
    PyObject *loads;     /* owned: of READ_JSON, or NULL for the standard one */
    fio_buf bytes;
    uint8_t kind; /* read_kind */
} FioRequestRead;

bool
fio_request_can_read(const FioRequest *self)
{
    if (self->body != NULL) {
        return !fio_body_at_eof(self->body);
    }
    return self->has_body && !self->body_taken;
}

/* -- what the bytes become ------------------------------------------------------------------------
 */

static PyObject *
body_text(FioRequest *self, PyObject *bytes)
{
    fio_view field = fio_request_field(self, FIO_FIELD_CONTENT_TYPE);
    fio_view charset = fio_content_type_parameter(field, "charset");
    if (charset.size == 0) {
        return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes), NULL);
    }
    PyObject *name = fio_text_new(charset, "replace");
    const char *encoding = name == NULL ? NULL : PyUnicode_AsUTF8(name);
    PyObject *text = encoding == NULL ? NULL : PyUnicode_FromEncodedObject(bytes, encoding, NULL);
    Py_XDECREF(name);
    return text;
}

static PyObject *
body_value(FioRequest *self, PyObject *bytes, read_kind kind, PyObject *loads)
{
    if (kind == READ_NOTHING) {
        Py_RETURN_NONE;
    }
    if (kind == READ_BYTES) {
        return Py_NewRef(bytes);
    }
    PyObject *text = body_text(self, bytes);
    if (text == NULL || kind == READ_TEXT) {
        return text;
    }
    PyObject *function = loads != NULL ? loads : fio_lazy_json_loads(self->st);
    PyObject *value = function == NULL ? NULL : PyObject_CallOneArg(function, text);
    Py_DECREF(text);
    return value;
}

static void
raise_too_large(FioRequest *self)
{
    PyObject *type = fio_lazy_web_EntityTooLarge(self->st);
    PyObject *exc = type == NULL
                        ? NULL
                        : PyObject_CallFunction(type, "K", (unsigned long long)self->max_size);
    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
        Py_DECREF(exc);
    }
}

/* The whole body as bytes, kept for the next read(). Only where no byte is missing. Borrowed. */
static FIO_BORROWED PyObject *
whole_bytes(FioRequest *self)
{
    fio_view whole = self->body_taken ? (fio_view){"", 0} : self->whole;
    if (self->max_size != 0 && whole.size > self->max_size) {
        raise_too_large(self);
        return NULL;
    }
    PyObject *owner = self->whole_owner;
    PyObject *bytes;
    if (owner != NULL && whole.base == PyBytes_AS_STRING(owner)
        && whole.size == (size_t)PyBytes_GET_SIZE(owner)) {
        bytes = Py_NewRef(owner);
    }
    else {
        bytes = PyBytes_FromStringAndSize(whole.base, (Py_ssize_t)whole.size);
    }
    if (bytes != NULL) {
        self->body_taken = true;
        fio_request_set(self, FIO_REQUEST_READ, bytes);
    }
    return bytes;
}

/* -- a body on its way ----------------------------------------------------------------------------
 */

static PyObject *
read_new(FioRequest *request, read_kind kind, PyObject *loads)
{
    FioRequestRead *self = PyObject_GC_New(FioRequestRead, request->st->RequestReadType);
    if (self == NULL) {
        return NULL;
    }
    self->request = (FioRequest *)Py_NewRef((PyObject *)request);
    self->inner = NULL;
    self->loads = Py_XNewRef(loads);
    self->bytes = (fio_buf){0};
    self->kind = kind;
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

/* The body is complete. */
static PySendResult
read_finish(FioRequestRead *self, PyObject **result)
{
    FioRequest *request = self->request;
    PyObject *bytes = PyBytes_FromStringAndSize(
        fio_buf_size(&self->bytes) == 0 ? NULL : fio_buf_data(&self->bytes),
        (Py_ssize_t)fio_buf_size(&self->bytes));
    fio_buf_free(&self->bytes);
    read_kind kind = (read_kind)self->kind;
    self->kind = READ_DONE;
    if (bytes == NULL) {
        return PYGEN_ERROR;
    }
    if (kind != READ_NOTHING) {
        fio_request_set(request, FIO_REQUEST_READ, Py_NewRef(bytes));
    }
    *result = body_value(request, bytes, kind, self->loads);
    Py_DECREF(bytes);
    return *result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}

/* Takes one readany()'s `chunk`. 1 more is to come, 0 it was the end, -1 exception set. */
static int
read_take(FioRequestRead *self, PyObject *chunk)
{
    if (!PyBytes_Check(chunk)) {
        PyErr_SetString(PyExc_TypeError, "readany() must give bytes");
        return -1;
    }
    size_t size = (size_t)PyBytes_GET_SIZE(chunk);
    if (size == 0) {
        return 0;
    }
    if (self->kind == READ_NOTHING) {
        return 1;
    }
    uint64_t limit = self->request->max_size;
    if (limit != 0 && fio_buf_size(&self->bytes) + size > limit) {
        raise_too_large(self->request);
        return -1;
    }
    return fio_buf_append(&self->bytes, PyBytes_AS_STRING(chunk), size) < 0 ? -1 : 1;
}

static PySendResult
read_am_send(FioRequestRead *self, PyObject *sent, PyObject **result)
{
    fio_state *st = self->request->st;
    FIO_HOLD_MONITOR(self->request);
    *result = NULL;
    if (self->kind == READ_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited awaitable");
        return PYGEN_ERROR;
    }
    for (;;) {
        if (self->inner == NULL) {
            PyObject *body = (PyObject *)self->request->body;
            self->inner = fio_await_iterator(PyObject_CallMethodNoArgs(body, st->str_readany));
            if (self->inner == NULL) {
                return PYGEN_ERROR;
            }
            sent = Py_None;
        }
        PyObject *chunk = NULL;
        PyObject *inner = Py_NewRef(self->inner);
        PySendResult status = PyIter_Send(inner, sent == NULL ? Py_None : sent, &chunk);
        Py_DECREF(inner);
        if (status == PYGEN_NEXT) {
            *result = chunk;
            return PYGEN_NEXT;
        }
        Py_CLEAR(self->inner);
        int more = status == PYGEN_ERROR ? -1 : read_take(self, chunk);
        Py_XDECREF(chunk);
        if (more <= 0) {
            return more < 0 ? PYGEN_ERROR : read_finish(self, result);
        }
    }
}

static int
read_traverse(FioRequestRead *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->request);
    Py_VISIT(self->inner);
    Py_VISIT(self->loads);
    return 0;
}

static int
read_clear(FioRequestRead *self)
{
    /* `request` stays: the methods count on it. */
    Py_CLEAR(self->inner);
    Py_CLEAR(self->loads);
    return 0;
}

static void
read_dealloc(FioRequestRead *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)read_clear(self);
    fio_buf_free(&self->bytes);
    Py_DECREF((PyObject *)self->request);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot read_slots[] = {
    {Py_tp_doc, FIO_UNCONST("The awaitable of a request's read(), text() or json(): done at once "
                            "where the body is there.")},
    {Py_tp_dealloc, read_dealloc},
    {Py_tp_traverse, read_traverse},
    {Py_tp_clear, read_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, fio_iternext_by_send},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, read_am_send},
    {0, NULL},
};

static PyType_Spec read_spec = {
    .name = "fastaio._core.RequestRead",
    .basicsize = sizeof(FioRequestRead),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = read_slots,
};

/* -- the methods ----------------------------------------------------------------------------------
 */

static PyObject *
request_await(FioRequest *self, read_kind kind, PyObject *loads)
{
    FIO_HOLD_MONITOR(self);
    bool was_read = fio_request_has(self, FIO_REQUEST_READ);
    if (!was_read && self->body != NULL) {
        return read_new(self, kind, loads);
    }
    if (kind == READ_NOTHING) {
        self->body_taken = true;
        return fio_ready_new(self->st, Py_None);
    }
    PyObject *bytes = was_read ? self->made[FIO_REQUEST_READ] : whole_bytes(self);
    PyObject *value = bytes == NULL ? NULL : body_value(self, bytes, kind, loads);
    PyObject *ready = value == NULL ? NULL : fio_ready_new(self->st, value);
    Py_XDECREF(value);
    return ready;
}

PyObject *
fio_request_read(FioRequest *self, PyObject *Py_UNUSED(ignored))
{
    return request_await(self, READ_BYTES, NULL);
}

PyObject *
fio_request_text(FioRequest *self, PyObject *Py_UNUSED(ignored))
{
    return request_await(self, READ_TEXT, NULL);
}

PyObject *
fio_request_json(FioRequest *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const params[] = {"loads", NULL};
    static const fio_params spec = {"json", params, 0, 0};
    PyObject *loads = NULL;
    if (fio_args_parse(&spec, args, nargs, kwnames, &loads) < 0) {
        return NULL;
    }
    return request_await(self, READ_JSON, loads);
}

PyObject *
fio_request_release(FioRequest *self, PyObject *Py_UNUSED(ignored))
{
    return request_await(self, READ_NOTHING, NULL);
}

static void
ignore_flow(void *Py_UNUSED(source), bool Py_UNUSED(pause))
{
    /* Nothing is behind a body that is there as a whole. */
}

static const fio_body_ops complete_body_ops = {ignore_flow, NULL};

/* A stream of what is left of `whole`. */
static FioBody *
body_of_whole(FioRequest *self)
{
    PyObject *loop = fio_request_get(self, FIO_REQUEST_LOOP);
    FioBody *body = loop == NULL ? NULL : fio_body_new(self->st, loop, &complete_body_ops, self);
    if (body == NULL) {
        return NULL;
    }
    fio_body_detach(body);
    if ((!self->body_taken && fio_body_feed_chunks(body, self->whole, &self->whole_ends) < 0)
        || fio_body_feed_eof(body) < 0) {
        Py_DECREF((PyObject *)body);
        return NULL;
    }
    self->body_taken = true;
    return body;
}

PyObject *
fio_request_content(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    if (self->body == NULL && (self->body = body_of_whole(self)) == NULL) {
        return NULL;
    }
    return Py_NewRef((PyObject *)self->body);
}

int
fio_request_body_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->RequestReadType, &read_spec, NULL);
}
