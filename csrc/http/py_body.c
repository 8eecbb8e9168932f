/* The StreamReader type: the methods of aiohttp.StreamReader over body.c; body_read.c makes them
 * awaitable. */

#include "http/py_body.h"

#include "base/args.h"

/* -- reading --------------------------------------------------------------------------------------
 */

/* An optional number of bytes, -1 when not given. */
static int
take_count(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
           Py_ssize_t *count)
{
    static const char *const names[] = {"n", NULL};
    const fio_params params = {function, names, 1, 0};
    PyObject *given = NULL;
    *count = -1;
    if (fio_args_parse(&params, args, nargs, kwnames, &given) < 0) {
        return -1;
    }
    if (given != NULL) {
        *count = PyNumber_AsSsize_t(given, PyExc_OverflowError);
    }
    return *count == -1 && PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(body_read_doc,
             "read($self, n=-1)\n--\n\n"
             "Coroutine: up to `n` bytes, at least one unless the end is reached; with a negative\n"
             "`n` all bytes up to the end.");

static PyObject *
body_read(FioBody *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(fio_body_monitor(self));
    Py_ssize_t count = -1;
    if (take_count("read", args, nargs, kwnames, &count) < 0) {
        return NULL;
    }
    const fio_read all = {.kind = FIO_READ_ALL};
    const fio_read some = {.kind = FIO_READ_SOME, .size = (size_t)count};
    fio_body_expect(self, count < 0 ? SIZE_MAX : (size_t)count);
    return fio_body_read(self, count < 0 ? &all : &some);
}

PyDoc_STRVAR(body_readany_doc, "readany($self)\n--\n\n"
                               "Coroutine: all bytes that are there, b'' only at the end.");

static PyObject *
body_readany(FioBody *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(fio_body_monitor(self));
    return fio_body_read(self, &(fio_read){.kind = FIO_READ_ANY});
}

PyDoc_STRVAR(body_readexactly_doc,
             "readexactly($self, n)\n--\n\n"
             "Coroutine: `n` bytes; raises asyncio.IncompleteReadError if the end comes before.");

static PyObject *
body_readexactly(FioBody *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(fio_body_monitor(self));
    static const char *const names[] = {"n", NULL};
    static const fio_params params = {"readexactly", names, 1, 1};
    PyObject *given = NULL;
    if (fio_args_parse(&params, args, nargs, kwnames, &given) < 0) {
        return NULL;
    }
    const Py_ssize_t count = PyNumber_AsSsize_t(given, PyExc_OverflowError);
    if (count == -1 && PyErr_Occurred()) {
        return NULL;
    }
    const size_t size = count < 0 ? 0 : (size_t)count;
    fio_body_expect(self, size);
    return fio_body_read(self, &(fio_read){.kind = FIO_READ_EXACTLY, .size = size});
}

/* The size a line may have: of an argument that may be NULL or None. */
static int
take_line_size(FioBody *self, PyObject *given, size_t *size)
{
    *size = self->high;
    if (given == NULL || given == Py_None) {
        return 0;
    }
    const Py_ssize_t value = PyNumber_AsSsize_t(given, PyExc_OverflowError);
    if (value == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (value > 0) {
        *size = (size_t)value;
        fio_body_expect(self, *size);
    }
    return 0;
}

PyDoc_STRVAR(body_readuntil_doc,
             "readuntil($self, separator=b'\\n', *, max_size=None)\n--\n\n"
             "Coroutine: the bytes up to and with `separator`, or what is left at the end.\n\n"
             "Raises ValueError over `max_size` bytes (None: the buffer's upper limit).");

static PyObject *
body_readuntil(FioBody *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(fio_body_monitor(self));
    static const char *const names[] = {"separator", "max_size", NULL};
    static const fio_params params = {"readuntil", names, 1, 0};
    PyObject *given[] = {NULL, NULL};
    fio_read read = {.kind = FIO_READ_UNTIL};
    if (fio_args_parse(&params, args, nargs, kwnames, given) < 0
        || take_line_size(self, given[1], &read.size) < 0) {
        return NULL;
    }
    if (given[0] != NULL && (!PyBytes_Check(given[0]) || PyBytes_GET_SIZE(given[0]) == 0)) {
        PyErr_SetString(PyExc_ValueError, "separator must be bytes, at least one");
        return NULL;
    }
    read.separator = given[0];
    return fio_body_read(self, &read);
}

PyDoc_STRVAR(body_readline_doc, "readline($self, *, max_line_length=None)\n--\n\n"
                                "Coroutine: as readuntil(b'\\n').");

static PyObject *
body_readline(FioBody *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(fio_body_monitor(self));
    static const char *const names[] = {"max_line_length", NULL};
    static const fio_params params = {"readline", names, 0, 0};
    PyObject *given = NULL;
    fio_read read = {.kind = FIO_READ_UNTIL};
    if (fio_args_parse(&params, args, nargs, kwnames, &given) < 0
        || take_line_size(self, given, &read.size) < 0) {
        return NULL;
    }
    return fio_body_read(self, &read);
}

PyDoc_STRVAR(
    body_readchunk_doc,
    "readchunk($self)\n--\n\n"
    "Coroutine: (bytes, at_end): the bytes up to the end of a chunk of the chunked coding and\n"
    "True, or all that are there and False; (b'', False) only at the end of the body.");

static PyObject *
body_readchunk(FioBody *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(fio_body_monitor(self));
    return fio_body_read(self, &(fio_read){.kind = FIO_READ_CHUNK});
}

PyDoc_STRVAR(body_wait_eof_doc, "wait_eof($self)\n--\n\n"
                                "Coroutine: waits until the last byte has come.");

static PyObject *
body_wait_eof(FioBody *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(fio_body_monitor(self));
    return fio_body_read(self, &(fio_read){.kind = FIO_READ_EOF});
}

PyDoc_STRVAR(body_read_nowait_doc,
             "read_nowait($self, n=-1)\n--\n\n"
             "Up to `n` of the bytes that are there; with a negative `n` all of them.");

static PyObject *
body_read_nowait(FioBody *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(fio_body_monitor(self));
    Py_ssize_t count = -1;
    if (take_count("read_nowait", args, nargs, kwnames, &count) < 0) {
        return NULL;
    }
    if (self->exception != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(self->exception), self->exception);
        return NULL;
    }
    if (self->waiter != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Called while some coroutine is waiting for incoming data.");
        return NULL;
    }
    return fio_body_take(self, count < 0 ? fio_buf_size(&self->buf) : (size_t)count);
}

PyDoc_STRVAR(body_iter_chunked_doc, "iter_chunked($self, n)\n--\n\n"
                                    "Asynchronous iterator over pieces of at most `n` bytes.");

static PyObject *
body_iter_chunked(FioBody *self, PyObject *number)
{
    FIO_HOLD(fio_body_monitor(self));
    const Py_ssize_t count = PyNumber_AsSsize_t(number, PyExc_OverflowError);
    if (count == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (count <= 0) {
        PyErr_SetString(PyExc_ValueError, "n must be at least 1");
        return NULL;
    }
    fio_body_expect(self, (size_t)count);
    return fio_body_iterate(self, &(fio_read){.kind = FIO_READ_SOME, .size = (size_t)count});
}

PyDoc_STRVAR(body_iter_any_doc, "iter_any($self)\n--\n\n"
                                "Asynchronous iterator over the bytes as they come.");

static PyObject *
body_iter_any(FioBody *self, PyObject *Py_UNUSED(none))
{
    return fio_body_iterate(self, &(fio_read){.kind = FIO_READ_ANY});
}

PyDoc_STRVAR(body_iter_chunks_doc, "iter_chunks($self)\n--\n\n"
                                   "Asynchronous iterator over what readchunk() gives.");

static PyObject *
body_iter_chunks(FioBody *self, PyObject *Py_UNUSED(none))
{
    return fio_body_iterate(self, &(fio_read){.kind = FIO_READ_CHUNK});
}

static PyObject *
body_aiter(FioBody *self)
{
    return fio_body_iterate(self, &(fio_read){.kind = FIO_READ_UNTIL, .size = self->high});
}

/* -- state ----------------------------------------------------------------------------------------
 */

PyDoc_STRVAR(body_at_eof_doc, "at_eof($self)\n--\n\n"
                              "True when the last byte has come and all were read.");

static PyObject *
body_at_eof(FioBody *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(fio_body_monitor(self));
    return PyBool_FromLong(fio_body_at_eof(self));
}

PyDoc_STRVAR(body_is_eof_doc, "is_eof($self)\n--\n\n"
                              "True when the last byte has come.");

static PyObject *
body_is_eof(FioBody *self, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(self->eof);
}

PyDoc_STRVAR(body_exception_doc, "exception($self)\n--\n\n"
                                 "The exception that readers get, or None.");

static PyObject *
body_exception(FioBody *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(fio_body_monitor(self));
    return Py_NewRef(self->exception == NULL ? Py_None : self->exception);
}

PyDoc_STRVAR(body_on_eof_doc,
             "on_eof($self, callback, /)\n--\n\n"
             "Call `callback` with no arguments when the last byte has come, at once if it has.");

static PyObject *
body_on_eof(FioBody *self, PyObject *callback)
{
    FIO_HOLD(fio_body_monitor(self));
    if (self->callbacks == NULL) {
        self->callbacks = PyList_New(0);
    }
    if (self->callbacks == NULL || PyList_Append(self->callbacks, callback) < 0) {
        return NULL;
    }
    if (self->eof) {
        fio_body_run_callbacks(self);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(body_get_read_buffer_limits_doc,
             "get_read_buffer_limits($self)\n--\n\n"
             "(low, high): unread bytes under which the sender resumes, over which it is paused.");

static PyObject *
body_get_read_buffer_limits(FioBody *self, PyObject *Py_UNUSED(none))
{
    return Py_BuildValue("KK", (unsigned long long)self->low, (unsigned long long)self->high);
}

PyDoc_STRVAR(body_set_read_chunk_size_doc,
             "set_read_chunk_size($self, n, /)\n--\n\n"
             "Raise the limits so that `n` bytes can be read at once.");

static PyObject *
body_set_read_chunk_size(FioBody *self, PyObject *number)
{
    FIO_HOLD(fio_body_monitor(self));
    const Py_ssize_t count = PyNumber_AsSsize_t(number, NULL);
    if (count == -1 && PyErr_Occurred()) {
        return NULL;
    }
    fio_body_expect(self, count < 0 ? 0 : (size_t)count);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(body_feed_data_doc, "feed_data($self, data, size=0, /)\n--\n\n"
                                 "Add the bytes-like `data` to what can be read.");

static PyObject *
body_feed_data(FioBody *self, PyObject *const *args, Py_ssize_t nargs)
{
    FIO_HOLD(fio_body_monitor(self));
    Py_buffer buffer;
    if (nargs < 1 || nargs > 2) {
        PyErr_SetString(PyExc_TypeError, "feed_data() takes data and, unused, its size");
        return NULL;
    }
    if (self->eof) {
        PyErr_SetString(PyExc_RuntimeError, "feed_data() after feed_eof()");
        return NULL;
    }
    if (PyObject_GetBuffer(args[0], &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    const int result = fio_body_feed(self, buffer.buf, (size_t)buffer.len);
    PyBuffer_Release(&buffer);
    return result < 0 ? NULL : Py_NewRef(Py_False);
}

PyDoc_STRVAR(body_feed_eof_doc, "feed_eof($self)\n--\n\n"
                                "The last byte has come.");

static PyObject *
body_feed_eof(FioBody *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(fio_body_monitor(self));
    return fio_body_feed_eof(self) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(body_set_exception_doc, "set_exception($self, exc, exc_cause=None, /)\n--\n\n"
                                     "Readers get `exc`, now and from now on.");

static PyObject *
body_set_exception(FioBody *self, PyObject *const *args, Py_ssize_t nargs)
{
    FIO_HOLD(fio_body_monitor(self));
    if (nargs < 1 || nargs > 2 || !PyExceptionInstance_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "set_exception() takes an exception and its cause");
        return NULL;
    }
    if (nargs == 2 && PyExceptionInstance_Check(args[1])) {
        PyException_SetCause(args[0], Py_NewRef(args[1]));
    }
    return fio_body_fail(self, args[0]) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(body_end_http_chunk_receiving_doc, "end_http_chunk_receiving($self)\n--\n\n"
                                                "What was fed last ended a chunk.");

static PyObject *
body_end_http_chunk_receiving(FioBody *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(fio_body_monitor(self));
    return fio_body_end_chunk(self) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
body_repr(FioBody *self)
{
    FIO_HOLD(fio_body_monitor(self));
    return PyUnicode_FromFormat("<StreamReader %zu bytes%s%s%s>", fio_buf_size(&self->buf),
                                self->eof ? " eof" : "", self->waiter != NULL ? " waiting" : "",
                                self->exception != NULL ? " failed" : "");
}

/* -- life -----------------------------------------------------------------------------------------
 */

static FioBody *
body_alloc(PyTypeObject *type, fio_state *st, PyObject *loop, size_t low)
{
    FioBody *self = (FioBody *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->st = st;
        self->loop = Py_NewRef(loop);
        self->low = low;
        self->high = low * 2;
    }
    return self;
}

FioBody *
fio_body_new(fio_state *st, PyObject *loop, const fio_body_ops *ops, void *source)
{
    FioBody *self = body_alloc(st->BodyType, st, loop, FIO_BODY_HIGH_WATER / 2);
    if (self != NULL) {
        self->ops = ops;
        self->source = source;
    }
    return self;
}

/* The source of a StreamReader made in Python is itself: its protocol is paused and resumed. */
static void
python_flow(void *source, bool pause)
{
    FioBody *self = source;
    PyObject *result = PyObject_CallMethodNoArgs(
        self->protocol, pause ? self->st->str_pause_reading : self->st->str_resume_reading);
    if (result == NULL) {
        PyErr_WriteUnraisable(self->protocol);
    }
    Py_XDECREF(result);
}

static const fio_body_ops python_ops = {.flow = python_flow};

static PyObject *
body_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"protocol", "limit", "loop", NULL};
    static const fio_params params = {"StreamReader", names, 2, 2};
    PyObject *given[] = {NULL, NULL, NULL};
    if (fio_args_parse_tuple(&params, args, kwargs, given) < 0) {
        return NULL;
    }
    const Py_ssize_t limit = PyNumber_AsSsize_t(given[1], PyExc_OverflowError);
    if (limit == -1 && PyErr_Occurred()) {
        return NULL;
    }
    fio_state *st = fio_state_of_type(type);
    PyObject *loop = given[2] == NULL || given[2] == Py_None
                         ? PyObject_CallNoArgs(st->aio_get_running_loop)
                         : Py_NewRef(given[2]);
    if (loop == NULL) {
        return NULL;
    }
    FioBody *self = body_alloc(type, st, loop, limit < 0 ? 0 : (size_t)limit);
    Py_DECREF(loop);
    if (self != NULL) {
        self->protocol = Py_NewRef(given[0]);
        self->ops = &python_ops;
        self->source = self;
    }
    return (PyObject *)self;
}

static int
body_traverse(FioBody *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->waiter);
    Py_VISIT(self->eof_waiter);
    Py_VISIT(self->callbacks);
    Py_VISIT(self->exception);
    return 0;
}

static int
body_clear(FioBody *self)
{
    FIO_HOLD(self->loop);
    fio_body_detach(self);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->eof_waiter);
    Py_CLEAR(self->callbacks);
    Py_CLEAR(self->exception);
    return 0;
}

static void
body_dealloc(FioBody *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    (void)body_clear(self);
    fio_buf_free(&self->buf);
    fio_buf_free(&self->ends);
    type->tp_free(self);
    Py_DECREF(type);
}

#define METHOD(name, flags) {#name, FIO_METHOD(body_##name), flags, body_##name##_doc}

static PyMethodDef body_methods[] = {
    METHOD(read, METH_FASTCALL | METH_KEYWORDS),
    METHOD(readany, METH_NOARGS),
    METHOD(readexactly, METH_FASTCALL | METH_KEYWORDS),
    METHOD(readuntil, METH_FASTCALL | METH_KEYWORDS),
    METHOD(readline, METH_FASTCALL | METH_KEYWORDS),
    METHOD(readchunk, METH_NOARGS),
    METHOD(wait_eof, METH_NOARGS),
    METHOD(read_nowait, METH_FASTCALL | METH_KEYWORDS),
    METHOD(iter_chunked, METH_O),
    METHOD(iter_any, METH_NOARGS),
    METHOD(iter_chunks, METH_NOARGS),
    METHOD(at_eof, METH_NOARGS),
    METHOD(is_eof, METH_NOARGS),
    METHOD(exception, METH_NOARGS),
    METHOD(on_eof, METH_O),
    METHOD(get_read_buffer_limits, METH_NOARGS),
    METHOD(set_read_chunk_size, METH_O),
    METHOD(feed_data, METH_FASTCALL),
    METHOD(feed_eof, METH_NOARGS),
    METHOD(end_http_chunk_receiving, METH_NOARGS),
    METHOD(set_exception, METH_FASTCALL),
    {NULL, NULL, 0, NULL},
};

static PyMemberDef body_members[] = {
    {"total_bytes", T_ULONGLONG, offsetof(FioBody, total), READONLY, "bytes that have come so far"},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioBody, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(
    body_doc,
    "StreamReader(protocol, limit, *, loop=None)\n--\n\n"
    "A body as it comes in, with the methods of aiohttp.StreamReader.\n\n"
    "`protocol` has pause_reading() called when more than 2 * `limit` bytes lie unread, and\n"
    "resume_reading() when fewer than `limit` do. `loop` is the running one by default.\n"
    "`async for line in reader` reads line by line.");

static PyType_Slot body_slots[] = {
    {Py_tp_doc, FIO_UNCONST(body_doc)}, {Py_tp_new, body_new},
    {Py_tp_dealloc, body_dealloc},      {Py_tp_traverse, body_traverse},
    {Py_tp_clear, body_clear},          {Py_tp_repr, body_repr},
    {Py_tp_methods, body_methods},      {Py_tp_members, body_members},
    {Py_am_aiter, body_aiter},          {0, NULL},
};

static PyType_Spec body_spec = {
    .name = "fastaio.http.StreamReader",
    .basicsize = sizeof(FioBody),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = body_slots,
};

int
fio_body_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_state_add_type(module, &st->BodyType, &body_spec, NULL) < 0) {
        return -1;
    }
    return fio_body_read_setup_types(module);
}
