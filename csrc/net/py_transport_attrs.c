/* Attributes of transports that programs set, and asyncio's private names that tell of what is
 * elsewhere here. asyncio's are plain attributes: what is set has the effect it has there; where it
 * has none here, or the transport is at its end, it is kept beside the real one, and read. */

#include "net/py_transport_attrs.h"

#include "base/args.h"
#include "net/py_transport.h"
#include "net/stream_ahead.h"

#include <limits.h>

PyObject *
fio_transport_stored(FioTransport *self, const char *name)
{
    if (FIO_LIKELY(self->dict == NULL)) {
        return NULL;
    }
    FIO_HOLD(self->stream.loop);
    PyObject *dict = Py_NewRef(self->dict); /* one of its keys may put another in its place */
    PyObject *value = NULL;
    if (PyDict_GetItemStringRef(dict, name, &value) < 0) {
        PyErr_Clear();
    }
    Py_DECREF(dict);
    return value;
}

int
fio_transport_store(FioTransport *self, PyObject *value, void *name)
{
    FIO_HOLD(self->stream.loop);
    /* By Python's own function, which other threads may be in, for attributes that are not ours. */
    PyObject *dict = PyObject_GenericGetDict((PyObject *)self, NULL);
    if (dict == NULL) {
        return -1;
    }
    int result = PyDict_SetItemString(dict, name, value);
    Py_DECREF(dict);
    return result;
}

static bool
transport_is_over(const FioTransport *self)
{
    return self->ending || !self->open;
}

PyObject *
fio_transport_attr_get(FioTransport *self, void *attr)
{
    FIO_HOLD(self->stream.loop);
    return fio_attr_get((PyObject *)self, attr, self->aside);
}

int
fio_transport_attr_set(FioTransport *self, PyObject *value, void *attr)
{
    FIO_HOLD(self->stream.loop);
    return fio_attr_set((PyObject *)self, attr, value, &self->aside);
}

/* -- state ----------------------------------------------------------------------------------------
 */

/* On asyncio a flag alone ends or begins nothing: it is what the methods go by. */
int
fio_transport_set_paused(FioTransport *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    bool paused = truth != 0;
    self->shows_paused = paused == self->stream.paused ? FIO_SHOWS_STATE : FIO_SHOWS(paused);
    return 0;
}

int
fio_transport_set_closing(FioTransport *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    bool closing = truth != 0;
    self->shows_closing = closing == self->stream.wire.closing ? FIO_SHOWS_STATE
                                                               : FIO_SHOWS(closing);
    return 0;
}

int
fio_transport_set_protocol_paused(FioTransport *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    int truth = PyObject_IsTrue(value);
    if (truth >= 0) {
        self->stream.link_paused = truth != 0;
    }
    return truth < 0 ? -1 : 0;
}

int
fio_transport_set_eof(FioTransport *self, PyObject *value, void *name)
{
    FIO_HOLD(self->stream.loop);
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    if (transport_is_over(self)) {
        return fio_transport_store(self, value, name);
    }
    self->stream.eof_wanted = truth != 0;
    return 0;
}

/* As long as it is not 0, nothing is sent or received. */
int
fio_transport_set_conn_lost(FioTransport *self, PyObject *value, void *name)
{
    FIO_HOLD(self->stream.loop);
    fio_stream *stream = &self->stream;
    if (transport_is_over(self)) {
        return fio_transport_store(self, value, name);
    }
    int overflow = 0;
    long number = PyLong_AsLongAndOverflow(value, &overflow);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (transport_is_over(self)) { /* by the value's __index__() */
        return fio_transport_store(self, value, name);
    }
    number = overflow > 0 ? LONG_MAX : number;
    stream->lost_count = number > 0;
    long writes = number - (number > 0 && stream->kind->is_socket);
    stream->lost_writes = writes > 0 ? (uint32_t)(writes < INT32_MAX ? writes : INT32_MAX) : 0;
    stream->started = number <= 0 && self->context != NULL && !stream->never_reads;
    stream->blocked = false;
    fio_stream_update_watch(stream);
    if (number <= 0) {
        fio_stream_flush(stream);
    }
    return 0;
}

int
fio_transport_set_server(FioTransport *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    Py_XSETREF(self->server, Py_XNewRef(fio_none_as_null(value)));
    return 0;
}

PyObject *
fio_transport_get_empty_waiter(FioTransport *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    return Py_NewRef(self->empty_waiter == NULL ? Py_None : self->empty_waiter);
}

int
fio_transport_set_empty_waiter(FioTransport *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    Py_XSETREF(self->empty_waiter, Py_XNewRef(fio_none_as_null(value)));
    return 0;
}

PyObject *
fio_transport_get_protocol_connected(FioTransport *self, void *name)
{
    PyObject *stored = fio_transport_stored(self, name);
    return stored != NULL ? stored : Py_NewRef(Py_True);
}

PyObject *
fio_transport_get_read_ready_cb(FioTransport *self, void *name)
{
    PyObject *stored = fio_transport_stored(self, name);
    return stored != NULL ? stored : PyObject_GetAttrString((PyObject *)self, "_read_ready");
}

PyObject *
fio_transport_get_buffer_size(FioTransport *self, void *name)
{
    PyObject *stored = fio_transport_stored(self, name);
    return stored != NULL ? stored : fio_transport_py_get_write_buffer_size(self, NULL);
}

/* -- the context of all calls ---------------------------------------------------------------------
 */

PyObject *
fio_transport_get_context(FioTransport *self, void *name)
{
    FIO_HOLD(self->stream.loop);
    PyObject *stored = fio_transport_stored(self, name);
    if (stored != NULL) {
        return stored;
    }
    return Py_NewRef(self->own_context == NULL ? Py_None : self->own_context);
}

/* What reads the socket goes on in the context that it has, until resume_reading(). */
int
fio_transport_set_context(FioTransport *self, PyObject *value, void *name)
{
    FIO_HOLD(self->stream.loop);
    if (fio_transport_store(self, value, name) < 0) {
        return -1;
    }
    Py_XSETREF(self->own_context, PyContext_CheckExact(value) ? Py_NewRef(value) : NULL);
    return 0;
}

/* loop.NAME(*args), with `context=self._context` where there is one. */
static PyObject *
transport_call_loop(FioTransport *self, const char *name, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *loop = PyObject_GetAttrString((PyObject *)self, "_loop");
    PyObject *method = loop == NULL ? NULL : PyObject_GetAttrString(loop, name);
    bool keeps = FIO_TRANSPORTS_KEEP_CONTEXT && self->stream.kind->is_socket;
    PyObject *names = method == NULL ? NULL : Py_BuildValue("(s)", "context");
    PyObject *context = names == NULL ? NULL
                        : keeps       ? PyObject_GetAttrString((PyObject *)self, "_context")
                                      : Py_NewRef(Py_None);
    PyObject **all = context == NULL ? NULL : PyMem_Calloc((size_t)nargs + 1, sizeof(PyObject *));
    PyObject *result = NULL;
    if (all != NULL) {
        for (Py_ssize_t i = 0; i < nargs; i++) {
            all[i] = args[i];
        }
        all[nargs] = context;
        result = PyObject_Vectorcall(method, all, (size_t)nargs, keeps ? names : NULL);
    }
    else if (context != NULL) {
        PyErr_NoMemory();
    }
    PyMem_Free(all);
    Py_XDECREF(context);
    Py_XDECREF(names);
    Py_XDECREF(method);
    Py_XDECREF(loop);
    return result;
}

PyObject *
fio_transport_py_call_soon(FioTransport *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *handle = transport_call_loop(self, "call_soon", args, nargs);
    Py_XDECREF(handle);
    return handle == NULL ? NULL : Py_NewRef(Py_None);
}

PyObject *
fio_transport_py_add_reader(FioTransport *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *reading = fio_transport_py_is_reading(self, NULL);
    bool adds = reading == Py_True;
    Py_XDECREF(reading);
    PyObject *handle = adds ? transport_call_loop(self, "_add_reader", args, nargs)
                            : Py_NewRef(Py_None);
    Py_XDECREF(handle);
    return handle == NULL ? NULL : Py_NewRef(Py_None);
}

PyObject *
fio_transport_py_add_writer(FioTransport *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *handle = transport_call_loop(self, "_add_writer", args, nargs);
    Py_XDECREF(handle);
    return handle == NULL ? NULL : Py_NewRef(Py_None);
}

/* -- the socket -----------------------------------------------------------------------------------
 */

/* Another object for the same descriptor, as one that counts what goes through it. */
static int
transport_exchange_socket(FioTransport *self, PyObject *value, const char *name)
{
    int fd = fio_transport_fileno(self->st, value);
    if (!self->open) { /* by the object's fileno() */
        PyErr_Clear();
        return fio_transport_store(self, value, FIO_UNCONST(name));
    }
    if (fd >= 0 && fd == self->fd) {
        Py_XSETREF(self->sock, Py_NewRef(value));
        self->stream.shared |= self->stream.kind->is_socket;
        return 0;
    }
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError,
                 "%s can only be set to None or to an object with the same descriptor", name);
    return -1;
}

/* Whoever sets None takes the descriptor over: it is no longer ours to close or to warn of. */
static int
transport_give_up(FioTransport *self)
{
    PyObject *sock = NULL;
    if (self->stream.kind->is_socket) {
        /* What get_extra_info() says stays true. */
        PyObject *extra = fio_transport_all_extra(self);
        /* A socket object that nobody has asked for yet closes what nobody has taken. */
        sock = extra == NULL ? NULL : fio_transport_socket(self);
        Py_XDECREF(extra);
        if (sock == NULL) {
            return -1;
        }
    }
    fio_stream_deliver_ahead(&self->stream);
    if (self->open) {
        fio_stream_dispose(&self->stream);
        self->open = false;
        Py_CLEAR(self->sock);
    }
    Py_XDECREF(sock);
    return 0;
}

int
fio_transport_set_sock(FioTransport *self, PyObject *value, void *name)
{
    FIO_HOLD(self->stream.loop);
    if (!self->open) {
        return fio_transport_store(self, value, name);
    }
    return value == Py_None ? transport_give_up(self)
                            : transport_exchange_socket(self, value, name);
}

/* -- output that waits ----------------------------------------------------------------------------
 */

static int
list_add(PyObject *list, FIO_STEALS PyObject *piece)
{
    int result = piece == NULL ? -1 : PyList_Append(list, piece);
    Py_XDECREF(piece);
    return result;
}

/* The pieces as a list of bytes. */
static PyObject *
transport_unsent(FioTransport *self)
{
    fio_stream *stream = &self->stream;
    PyObject *pieces = PyList_New(0);
    int result = pieces == NULL ? -1 : 0;
    for (uint32_t i = 0; i < stream->chunk_count && result == 0; i++) {
        const fio_chunk *chunk = &stream->chunks[stream->chunk_head + i];
        if (chunk->kind != FIO_CHUNK_FILE) {
            result = list_add(pieces,
                              PyBytes_FromStringAndSize(chunk->at.data, (Py_ssize_t)chunk->size));
        }
    }
    size_t size = fio_buf_size(&stream->wire.out);
    if (result == 0 && size > 0) {
        const char *data = fio_buf_data(&stream->wire.out);
        result = list_add(pieces, PyBytes_FromStringAndSize(data, (Py_ssize_t)size));
    }
    if (result < 0) {
        Py_CLEAR(pieces);
    }
    return pieces;
}

PyObject *
fio_transport_deque(PyObject *pieces)
{
    PyObject *collections = PyImport_ImportModule("collections");
    PyObject *deque = collections == NULL ? NULL
                                          : PyObject_CallMethod(collections, "deque", "O", pieces);
    Py_XDECREF(collections);
    return deque;
}

/* asyncio keeps a bytearray, and from 3.12 on a deque of the pieces for a socket. */
PyObject *
fio_transport_get_buffer(FioTransport *self, void *name)
{
    FIO_HOLD(self->stream.loop);
    PyObject *stored = fio_transport_stored(self, name);
    if (stored != NULL) {
        return stored;
    }
    fio_stream_flush(&self->stream);
    PyObject *pieces = transport_unsent(self);
    if (pieces == NULL) {
        return NULL;
    }
    PyObject *buffer = NULL;
    if (!FIO_WRITELINES_JOINS && self->stream.kind->is_socket) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pieces); i++) {
            PyObject *view = PyMemoryView_FromObject(PyList_GET_ITEM(pieces, i));
            if (view == NULL) {
                Py_DECREF(pieces);
                return NULL;
            }
            PyList_SetItem(pieces, i, view);
        }
        buffer = fio_transport_deque(pieces);
    }
    else {
        PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
        PyObject *joined = empty == NULL ? NULL : PyObject_CallMethod(empty, "join", "(O)", pieces);
        buffer = joined == NULL ? NULL : PyByteArray_FromObject(joined);
        Py_XDECREF(joined);
        Py_XDECREF(empty);
    }
    Py_DECREF(pieces);
    return buffer;
}

bool
fio_transport_empty_buffer(FioTransport *self)
{
    if (!transport_is_over(self)) {
        fio_stream_drop_output(&self->stream);
    }
    if (transport_is_over(self)) {
        return false;
    }
    self->stream.blocked = false;
    fio_stream_update_watch(&self->stream);
    return true;
}

/* What is set is sent instead of what there was. */
int
fio_transport_set_buffer(FioTransport *self, PyObject *value, void *name)
{
    FIO_HOLD(self->stream.loop);
    if (transport_is_over(self)) {
        return fio_transport_store(self, value, name);
    }
    PyObject *pieces = PyObject_CheckBuffer(value) ? Py_BuildValue("[O]", value)
                                                   : PySequence_List(value);
    if (pieces == NULL) {
        return -1;
    }
    if (!fio_transport_empty_buffer(self)) {
        Py_DECREF(pieces);
        return fio_transport_store(self, value, name);
    }
    int result = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pieces) && result == 0; i++) {
        result = fio_transport_queue(self, PyList_GET_ITEM(pieces, i));
    }
    Py_DECREF(pieces);
    return result < 0 ? -1 : fio_transport_commit(self);
}

/* -- what asyncio's reader and writer call
 * ---------------------------------------------------------
 */

PyObject *
fio_transport_py_read_ready(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    if (self->open) {
        self->stream.watch.on_ready(&self->stream.watch, UV_READABLE);
    }
    Py_RETURN_NONE;
}

PyObject *
fio_transport_py_write_ready(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    if (self->open) {
        self->stream.watch.on_ready(&self->stream.watch, UV_WRITABLE);
    }
    Py_RETURN_NONE;
}

/* -- of the class ---------------------------------------------------------------------------------
 */

/* What one read is at most. */
int
fio_transport_add_max_size(PyTypeObject *type)
{
    PyObject *size = PyLong_FromLong(FIO_LOOP_SLAB_SIZE);
    int result = size == NULL ? -1 : PyObject_SetAttrString((PyObject *)type, "max_size", size);
    Py_XDECREF(size);
    return result;
}
