/* Reading from a body as coroutines: one object an operation, which gives its value at once when
 * the bytes are there and else waits on a future of the loop's. Tasks accept it as a coroutine. */

#include "http/py_body.h"

#include "base/aio.h"

typedef struct {
    FioCoroutine super;
    FioBody *body;       /* owned */
    PyObject *separator; /* owned bytes, or NULL */
    size_t size;
    size_t scanned; /* bytes already searched for the separator */
    uint8_t kind;
    bool iterates;
} FioBodyRead;

/* -- the operations -------------------------------------------------------------------------------
 */

static PyObject *
raise_incomplete(FioBodyRead *self, size_t size)
{
    PyObject *type = fio_lazy_aio_IncompleteReadError(self->body->st);
    PyObject *partial = type == NULL ? NULL : fio_body_take(self->body, size);
    if (partial == NULL) {
        return NULL;
    }
    PyObject *exc = PyObject_CallFunction(type, "Nn", partial, (Py_ssize_t)self->size);
    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
        Py_DECREF(exc);
    }
    return NULL;
}

/* The offset behind the separator in the unread bytes, 0 when it is not there yet. */
static size_t
find_separator(FioBodyRead *self)
{
    const char *data = fio_buf_data(&self->body->buf);
    const size_t size = fio_buf_size(&self->body->buf);
    const char *separator = self->separator == NULL ? "\n" : PyBytes_AS_STRING(self->separator);
    const size_t length = self->separator == NULL ? 1 : (size_t)PyBytes_GET_SIZE(self->separator);
    if (size < length) {
        return 0;
    }
    const char *found = memmem(data + self->scanned, size - self->scanned, separator, length);
    if (found != NULL) {
        return (size_t)(found - data) + length;
    }
    /* The last bytes may be the beginning of one. */
    self->scanned = size - (length - 1);
    return 0;
}

/* The value if it can be had now; NULL without an exception: wait. */
static PyObject *
read_until(FioBodyRead *self)
{
    FioBody *body = self->body;
    const size_t unread = fio_buf_size(&body->buf);
    size_t end = find_separator(self);
    if (end == 0 && (body->eof || unread > self->size)) {
        end = unread;
    }
    if (end > self->size) {
        PyErr_Format(PyExc_ValueError, "line is longer than %zu bytes", self->size);
        return NULL;
    }
    return end > 0 || body->eof ? fio_body_take(body, end) : NULL;
}

static PyObject *
read_chunk(FioBody *body)
{
    size_t size = fio_buf_size(&body->buf);
    const bool at_end = fio_body_next_end(body, &size);
    if (size == 0 && !at_end && !body->eof) {
        return NULL;
    }
    PyObject *data = fio_body_take(body, size);
    return data == NULL ? NULL : Py_BuildValue("NO", data, at_end ? Py_True : Py_False);
}

/* As read_until(), of every kind. */
static PyObject *
read_now(FioBodyRead *self)
{
    FioBody *body = self->body;
    const size_t unread = fio_buf_size(&body->buf);
    if (body->exception != NULL && self->kind != FIO_READ_EOF) {
        PyErr_SetObject((PyObject *)Py_TYPE(body->exception), body->exception);
        return NULL;
    }
    switch ((fio_read_kind)self->kind) {
    case FIO_READ_SOME:
        return unread > 0 || body->eof || self->size == 0 ? fio_body_take(body, self->size) : NULL;
    case FIO_READ_ANY:
        return unread > 0 || body->eof ? fio_body_take(body, unread) : NULL;
    case FIO_READ_ALL:
        return body->eof ? fio_body_take(body, unread) : NULL;
    case FIO_READ_EXACTLY:
        if (unread >= self->size) {
            return fio_body_take(body, self->size);
        }
        return body->eof ? raise_incomplete(self, unread) : NULL;
    case FIO_READ_UNTIL:
        return read_until(self);
    case FIO_READ_CHUNK:
        return read_chunk(body);
    case FIO_READ_EOF:
        return body->eof ? Py_NewRef(Py_None) : NULL;
    }
    Py_UNREACHABLE();
}

static bool
is_end(FioBodyRead *self, PyObject *value)
{
    if (!self->iterates) {
        return false;
    }
    if (self->kind == FIO_READ_CHUNK) {
        return PyBytes_GET_SIZE(PyTuple_GET_ITEM(value, 0)) == 0
               && PyTuple_GET_ITEM(value, 1) == Py_False;
    }
    return PyBytes_GET_SIZE(value) == 0;
}

/* -- waiting --------------------------------------------------------------------------------------
 */

static PyObject **
waiter_slot(FioBodyRead *self)
{
    return self->kind == FIO_READ_EOF ? &self->body->eof_waiter : &self->body->waiter;
}

static void
stop_waiting(FioCoroutine *coroutine)
{
    FioBodyRead *self = (FioBodyRead *)coroutine;
    if (coroutine->awaited != NULL && *waiter_slot(self) == coroutine->awaited) {
        Py_CLEAR(*waiter_slot(self));
    }
    fio_coroutine_unwait(coroutine);
}

static int
start_waiting(FioBodyRead *self)
{
    FioBody *body = self->body;
    if (body->ops == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Connection closed.");
        return -1;
    }
    if (*waiter_slot(self) != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "read called while another coroutine is already waiting for incoming data");
        return -1;
    }
    if (fio_coroutine_wait(&self->super, fio_future_new(body->st, body->loop)) < 0) {
        return -1;
    }
    *waiter_slot(self) = Py_NewRef(self->super.awaited);
    fio_body_want(body);
    return 0;
}

static PySendResult
finish_read(FioBodyRead *self, PyObject *value, PyObject **result)
{
    if (value != NULL && is_end(self, value)) {
        Py_CLEAR(value);
        PyErr_SetNone(PyExc_StopAsyncIteration);
    }
    *result = value;
    return value == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}

static PySendResult
body_read_advance(FioCoroutine *coroutine, PyObject *sent, PyObject **result)
{
    FioBodyRead *self = (FioBodyRead *)coroutine;
    for (;;) {
        if (coroutine->waiting != NULL) {
            const PySendResult outcome = PyIter_Send(coroutine->waiting, sent, result);
            if (outcome == PYGEN_NEXT) {
                return PYGEN_NEXT;
            }
            stop_waiting(coroutine);
            if (outcome == PYGEN_ERROR) {
                return PYGEN_ERROR;
            }
            Py_CLEAR(*result);
        }
        PyObject *value = read_now(self);
        if (value != NULL || PyErr_Occurred() || start_waiting(self) < 0) {
            return finish_read(self, value, result);
        }
        sent = Py_None;
    }
}

static const fio_coroutine_kind body_read_kind = {body_read_advance, stop_waiting};

/* -- the type -------------------------------------------------------------------------------------
 */

static int
body_read_traverse(FioBodyRead *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->body);
    Py_VISIT(self->separator);
    return fio_coroutine_visit(&self->super, visit, arg);
}

static int
body_read_clear(FioBodyRead *self)
{
    FIO_HOLD(self->body == NULL ? NULL : fio_body_monitor(self->body));
    if (self->body != NULL) {
        stop_waiting(&self->super);
    }
    Py_CLEAR(self->body);
    Py_CLEAR(self->separator);
    return 0;
}

static void
body_read_dealloc(FioBodyRead *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)body_read_clear(self);
    fio_coroutine_end(&self->super);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef body_read_methods[] = {
    FIO_COROUTINE_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyType_Slot body_read_slots[] = {
    {Py_tp_doc,
     FIO_UNCONST(
         "The coroutine of a read from a StreamReader: done at once where the bytes are there.")},
    {Py_tp_dealloc, body_read_dealloc},
    {Py_tp_traverse, body_read_traverse},
    {Py_tp_clear, body_read_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, fio_iternext_by_send},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, fio_coroutine_am_send},
    {Py_tp_methods, body_read_methods},
    {0, NULL},
};

static PyType_Spec body_read_spec = {
    .name = "fastaio._core.BodyRead",
    .basicsize = sizeof(FioBodyRead),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = body_read_slots,
};

PyObject *
fio_body_read(FioBody *body, const fio_read *read)
{
    FioBodyRead *self = PyObject_GC_New(FioBodyRead, body->st->BodyReadType);
    if (self == NULL) {
        return NULL;
    }
    fio_coroutine_init(&self->super, &body_read_kind, fio_body_monitor(body));
    self->body = (FioBody *)Py_NewRef((PyObject *)body);
    self->separator = Py_XNewRef(read->separator);
    self->size = read->size;
    self->scanned = 0;
    self->kind = (uint8_t)read->kind;
    self->iterates = read->iterates;
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

/* -- iterators ------------------------------------------------------------------------------------
 */

typedef struct {
    PyObject_HEAD
    FioBody *body;       /* owned */
    PyObject *separator; /* owned bytes, or NULL */
    fio_read read;       /* its separator is the one above */
} FioBodyIterator;

static PyObject *
body_iterator_anext(FioBodyIterator *self)
{
    return fio_body_read(self->body, &self->read);
}

static int
body_iterator_traverse(FioBodyIterator *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->body);
    Py_VISIT(self->separator);
    return 0;
}

static void
body_iterator_dealloc(FioBodyIterator *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->body);
    Py_CLEAR(self->separator);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot body_iterator_slots[] = {
    {Py_tp_doc, FIO_UNCONST("What async for goes over: the lines or pieces of a StreamReader.")},
    {Py_tp_dealloc, body_iterator_dealloc},
    {Py_tp_traverse, body_iterator_traverse},
    {Py_am_aiter, PyObject_SelfIter},
    {Py_am_anext, body_iterator_anext},
    {0, NULL},
};

static PyType_Spec body_iterator_spec = {
    .name = "fastaio._core.BodyIterator",
    .basicsize = sizeof(FioBodyIterator),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = body_iterator_slots,
};

PyObject *
fio_body_iterate(FioBody *body, const fio_read *read)
{
    FioBodyIterator *self = PyObject_GC_New(FioBodyIterator, body->st->BodyIteratorType);
    if (self == NULL) {
        return NULL;
    }
    self->body = (FioBody *)Py_NewRef((PyObject *)body);
    self->separator = Py_XNewRef(read->separator);
    self->read = *read;
    self->read.iterates = true;
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

int
fio_body_read_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_state_add_type(module, &st->BodyReadType, &body_read_spec, NULL) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->BodyIteratorType, &body_iterator_spec, NULL);
}
