/* The writing half of a transport's Python methods: what may be written, when, and the limits. */

#include "net/py_transport.h"

#include "base/aio.h"
#include "base/args.h"

/* Writes to a lost connection after which each one is logged (asyncio.constants). */
#define WRITE_LOG_THRESHOLD 5

int
fio_transport_count_lost_write(FioTransport *self)
{
    int result = 0;
    /* asyncio's _conn_lost counts both. */
    if (self->stream.lost_writes + (self->stream.lost_count > 0) >= WRITE_LOG_THRESHOLD) {
        const char *text = self->stream.kind->is_socket
                               ? "socket.send() raised exception."
                               : "pipe closed by peer or os.write(pipe, data) raised exception.";
        PyObject *none = PyObject_CallMethod(self->st->aio_logger, "warning", "s", text);
        Py_XDECREF(none);
        result = none == NULL ? -1 : 0;
    }
    if (self->stream.lost_writes < UINT32_MAX - 1) {
        self->stream.lost_writes++;
    }
    return result;
}

/* What is written to a closing socket that still sends is sent too; to a closing pipe not (asyncio
 * makes this difference). */
static bool
transport_takes_no_more(const FioTransport *self)
{
    const fio_stream *stream = &self->stream;
    return stream->lost_count > 0 || (stream->wire.closing && !stream->kind->is_socket);
}

static int
transport_check_writable(const FioTransport *self, const char *method, const char *verb)
{
    if (self->stream.eof_wanted) {
        PyErr_Format(PyExc_RuntimeError, "Cannot call %s() after write_eof()", method);
        return -1;
    }
    if (self->empty_waiter != NULL) {
        PyErr_Format(PyExc_RuntimeError, "unable to %s; sendfile is in progress", verb);
        return -1;
    }
    return 0;
}

/* Queues one piece: bytes by reference, what may change as a copy. */
static int
transport_queue(FioTransport *self, PyObject *data)
{
    fio_stream *stream = &self->stream;
    if (PyBytes_Check(data)) {
        return fio_stream_queue(stream, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data),
                                data);
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    int result = fio_stream_queue_copy(stream, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return result;
}

bool
fio_transport_data_is_empty(PyObject *data)
{
    if (PyBytes_Check(data)) {
        return PyBytes_GET_SIZE(data) == 0;
    }
    if (PyByteArray_Check(data)) {
        return PyByteArray_GET_SIZE(data) == 0;
    }
    return PyMemoryView_GET_BUFFER(data)->len == 0;
}

int
fio_transport_check_data(FioTransport *self, PyObject *data, const char *type, const char *method)
{
    if (PyBytes_Check(data) || PyByteArray_Check(data) || PyMemoryView_Check(data)) {
        return 0;
    }
    /* asyncio's own method refuses it, in the words of this version. */
    PyObject *module = PyImport_ImportModule("asyncio.selector_events");
    PyObject *class = module == NULL ? NULL : PyObject_GetAttrString(module, type);
    PyObject *none = class == NULL ? NULL : PyObject_CallMethod(class, method, "OO", self, data);
    if (none != NULL) {
        PyErr_SetString(PyExc_TypeError, "data argument must be a bytes-like object");
        Py_DECREF(none);
    }
    Py_XDECREF(class);
    Py_XDECREF(module);
    return -1;
}

PyObject *
fio_transport_py_write(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    PyObject *data = fio_args_one("write", "data", args, nargs, kwnames);
    if (data == NULL
        || fio_transport_check_data(self, data, "_SelectorSocketTransport", "write") < 0) {
        return NULL;
    }
    if (transport_check_writable(self, "write", "write") < 0) {
        return NULL;
    }
    if (fio_transport_data_is_empty(data)) {
        Py_RETURN_NONE;
    }
    if (transport_takes_no_more(self)) {
        if (fio_transport_count_lost_write(self) < 0) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    if (transport_queue(self, data) < 0) {
        return NULL;
    }
    fio_stream_commit(&self->stream);
    Py_RETURN_NONE;
}

/* The pieces of writelines() as bytes objects or such that do not change, empty ones left out:
 * all are looked at before the first is queued. */
static PyObject *
lines_snapshot(PyObject *lines)
{
    PyObject *pieces = PySequence_List(lines);
    if (pieces == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pieces); i++) {
        PyObject *piece = PyList_GET_ITEM(pieces, i);
        if (PyBytes_Check(piece)) {
            continue;
        }
        PyObject *view = PyMemoryView_FromObject(piece);
        PyObject *copy = view == NULL ? NULL : PyBytes_FromObject(view);
        Py_XDECREF(view);
        if (copy == NULL) {
            Py_DECREF(pieces);
            return NULL;
        }
        PyList_SetItem(pieces, i, copy);
    }
    return pieces;
}

PyObject *
fio_transport_py_writelines(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    PyObject *lines = fio_args_one("writelines", "list_of_data", args, nargs, kwnames);
    if (lines == NULL) {
        return NULL;
    }
    if (transport_check_writable(self, "writelines", "writelines") < 0) {
        return NULL;
    }
    PyObject *pieces = lines_snapshot(lines);
    if (pieces == NULL) {
        return NULL;
    }
    if (transport_takes_no_more(self)) {
        int result = PyList_GET_SIZE(pieces) > 0 ? fio_transport_count_lost_write(self) : 0;
        Py_DECREF(pieces);
        return result < 0 ? NULL : Py_NewRef(Py_None);
    }
    int result = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pieces) && result == 0; i++) {
        if (PyBytes_GET_SIZE(PyList_GET_ITEM(pieces, i)) > 0) {
            result = transport_queue(self, PyList_GET_ITEM(pieces, i));
        }
    }
    Py_DECREF(pieces);
    /* Also what came before a failure is sent: it was accepted. */
    if (fio_stream_unsent(&self->stream) > 0) {
        fio_stream_commit(&self->stream);
    }
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *
fio_transport_py_write_eof(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    if (fio_stream_write_eof(&self->stream) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
fio_transport_py_can_write_eof(FioTransport *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    Py_RETURN_TRUE;
}

PyObject *
fio_transport_py_get_write_buffer_size(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    /* What is only gathered for this turn is not waiting for the peer. */
    fio_stream_flush(&self->stream);
    return PyLong_FromSize_t(fio_stream_unsent(&self->stream));
}

/* asyncio: _FlowControlMixin._set_write_buffer_limits */
static int
limits_from_args(PyObject *high_given, PyObject *low_given, Py_ssize_t *high, Py_ssize_t *low)
{
    *high = (Py_ssize_t)FIO_STREAM_HIGH_WATER;
    if (low_given != Py_None) {
        *low = PyNumber_AsSsize_t(low_given, NULL);
        if (*low == -1 && PyErr_Occurred()) {
            return -1;
        }
        *high = *low > PY_SSIZE_T_MAX / 4 ? PY_SSIZE_T_MAX : *low * 4;
    }
    if (high_given != Py_None) {
        *high = PyNumber_AsSsize_t(high_given, NULL);
        if (*high == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    if (low_given == Py_None) {
        *low = *high / 4;
    }
    if (*high < *low || *low < 0) {
        PyErr_Format(PyExc_ValueError, "high (%zd) must be >= low (%zd) must be >= 0", *high, *low);
        return -1;
    }
    return 0;
}

PyObject *
fio_transport_py_set_limits(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    static const char *const names[] = {"high", "low", NULL};
    static const fio_params params = {"set_write_buffer_limits", names, 2, 0};
    PyObject *given[] = {Py_None, Py_None};
    Py_ssize_t high = 0;
    Py_ssize_t low = 0;
    if (fio_args_parse(&params, args, nargs, kwnames, given) < 0
        || limits_from_args(given[0], given[1], &high, &low) < 0) {
        return NULL;
    }
    self->stream.high_water = (size_t)high;
    self->stream.low_water = (size_t)low;
    fio_stream_flush(&self->stream);
    fio_stream_check_high_water(&self->stream);
    Py_RETURN_NONE;
}

PyObject *
fio_transport_py_get_limits(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("nn", (Py_ssize_t)self->stream.low_water,
                         (Py_ssize_t)self->stream.high_water);
}

/* For loop.sendfile(): a future that is done when nothing is left to send; write() is refused until
 * _reset_empty_waiter(). */
PyObject *
fio_transport_py_make_empty_waiter(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    if (self->empty_waiter != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    fio_stream_flush(&self->stream);
    PyObject *waiter = fio_future_new(self->st, (PyObject *)self->stream.loop);
    if (waiter == NULL) {
        return NULL;
    }
    self->empty_waiter = Py_NewRef(waiter);
    if (fio_stream_unsent(&self->stream) == 0
        && fio_future_set_result(self->st, waiter, Py_None) < 0) {
        Py_CLEAR(self->empty_waiter);
        Py_CLEAR(waiter);
    }
    return waiter;
}

PyObject *
fio_transport_py_reset_empty_waiter(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    Py_CLEAR(self->empty_waiter);
    Py_RETURN_NONE;
}
