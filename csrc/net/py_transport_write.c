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
    if (fio_stream_conn_lost(&self->stream) >= WRITE_LOG_THRESHOLD) {
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

int
fio_transport_queue(FioTransport *self, PyObject *data)
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

int
fio_transport_data_is_empty(PyObject *data)
{
    if (PyBytes_Check(data)) {
        return PyBytes_GET_SIZE(data) == 0;
    }
    if (PyByteArray_Check(data)) {
        return PyByteArray_GET_SIZE(data) == 0;
    }
    Py_ssize_t length = PyObject_Size(data);
    return length < 0 ? -1 : length == 0;
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
    FIO_HOLD(self->stream.loop);
    PyObject *data = fio_args_one("write", "data", args, nargs, kwnames);
    if (data == NULL) {
        return fio_transport_refuse(self, "write", args, nargs, kwnames);
    }
    if (fio_transport_check_data(self, data, "_SelectorSocketTransport", "write") < 0) {
        return NULL;
    }
    if (transport_check_writable(self, "write", "write") < 0) {
        return NULL;
    }
    int empty = fio_transport_data_is_empty(data);
    if (empty != 0) {
        return empty < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (transport_takes_no_more(self)) {
        if (fio_transport_count_lost_write(self) < 0) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    if (fio_transport_queue(self, data) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_BufferError)) {
            return NULL;
        }
        /* As the system call's refusal of a buffer in several pieces. */
        fio_transport_fatal(self, self->stream.kind->write_error);
        Py_RETURN_NONE;
    }
    return fio_transport_commit(self) < 0 ? NULL : Py_NewRef(Py_None);
}

/* What writelines() cannot take: NULL, with the exception that is set in this version's words. */
static PyObject *
lines_refused(PyObject *lines)
{
    if (FIO_WRITELINES_JOINS && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyObject *raised = PyErr_GetRaisedException();
        PyObject *nothing = PyBytes_FromStringAndSize(NULL, 0);
        PyObject *joined = nothing == NULL ? NULL
                                           : PyObject_CallMethod(nothing, "join", "(O)", lines);
        Py_XDECREF(nothing);
        if (joined != NULL) {
            PyErr_SetRaisedException(Py_NewRef(raised)); /* the iterable's own */
            Py_DECREF(joined);
        }
        Py_DECREF(raised);
    }
    return NULL;
}

static PyObject *
line_snapshot(PyObject *piece)
{
    if (FIO_WRITELINES_SKIPS_FALSE) {
        int some = PyObject_IsTrue(piece);
        if (some <= 0) {
            return some < 0 ? NULL : PyBytes_FromStringAndSize(NULL, 0);
        }
    }
    PyObject *view = PyMemoryView_FromObject(piece);
    PyObject *copy = view == NULL ? NULL : PyBytes_FromObject(view);
    Py_XDECREF(view);
    return copy;
}

/* The pieces of writelines() as bytes objects or such that do not change, empty ones left out:
 * all are looked at before the first is queued. */
static PyObject *
lines_snapshot(PyObject *lines)
{
    PyObject *pieces = PySequence_List(lines);
    if (pieces == NULL) {
        return lines_refused(lines);
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pieces); i++) {
        PyObject *piece = PyList_GET_ITEM(pieces, i);
        if (PyBytes_Check(piece)) {
            continue;
        }
        PyObject *copy = line_snapshot(piece);
        if (copy == NULL) {
            PyObject *refused = lines_refused(pieces);
            Py_DECREF(pieces);
            return refused;
        }
        PyList_SetItem(pieces, i, copy);
    }
    return pieces;
}

PyObject *
fio_transport_py_writelines(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    FIO_HOLD(self->stream.loop);
    PyObject *lines = fio_args_one("writelines", "list_of_data", args, nargs, kwnames);
    if (lines == NULL) {
        return fio_transport_refuse(self, "writelines", args, nargs, kwnames);
    }
    if (!FIO_WRITELINES_JOINS) {
        int some = transport_check_writable(self, "writelines", "writelines") < 0
                       ? -1
                       : PyObject_IsTrue(lines);
        if (some <= 0) {
            return some < 0 ? NULL : Py_NewRef(Py_None);
        }
    }
    PyObject *pieces = lines_snapshot(lines);
    if (pieces == NULL) {
        return NULL;
    }
    if (FIO_WRITELINES_JOINS && transport_check_writable(self, "write", "write") < 0) {
        Py_DECREF(pieces);
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
            result = fio_transport_queue(self, PyList_GET_ITEM(pieces, i));
        }
    }
    Py_DECREF(pieces);
    /* Also what came before a failure is sent: it was accepted. */
    if (result == 0) {
        result = fio_transport_commit(self);
    }
    else {
        fio_stream_commit(&self->stream);
    }
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *
fio_transport_py_write_eof(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
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
    FIO_HOLD(self->stream.loop);
    /* What is only gathered for this turn is not waiting for the peer. */
    fio_stream_flush(&self->stream);
    return PyLong_FromSize_t(fio_stream_unsent(&self->stream));
}

/* asyncio: _FlowControlMixin._set_write_buffer_limits, which takes any numbers. New references. */
static int
limits_from_args(PyObject *high_given, PyObject *low_given, PyObject **high, PyObject **low)
{
    PyObject *zero = PyLong_FromLong(0);
    PyObject *four = PyLong_FromLong(4);
    *high = NULL;
    *low = NULL;
    if (zero != NULL && four != NULL) {
        *high = high_given != Py_None  ? Py_NewRef(high_given)
                : low_given == Py_None ? PyLong_FromSize_t(FIO_STREAM_HIGH_WATER)
                                       : PyNumber_Multiply(four, low_given);
    }
    if (*high != NULL) {
        *low = low_given != Py_None ? Py_NewRef(low_given) : PyNumber_FloorDivide(*high, four);
    }
    int ordered = *low == NULL ? -1 : PyObject_RichCompareBool(*high, *low, Py_GE);
    if (ordered > 0) {
        ordered = PyObject_RichCompareBool(*low, zero, Py_GE);
    }
    if (ordered == 0) {
        PyErr_Format(PyExc_ValueError, "high (%R) must be >= low (%R) must be >= 0", *high, *low);
    }
    Py_XDECREF(zero);
    Py_XDECREF(four);
    if (ordered <= 0) {
        Py_CLEAR(*high);
        Py_CLEAR(*low);
    }
    return ordered > 0 ? 0 : -1;
}

/* The bytes a number stands for, rounded down, as far as memory goes; below 0, as those of a
 * program that sets the attributes may be, and for what is no number: 0. */
static size_t
limit_bytes(double number)
{
    return number >= (double)PY_SSIZE_T_MAX ? (size_t)PY_SSIZE_T_MAX
           : number > 0.0                   ? (size_t)number
                                            : 0;
}

/* Sets *bytes. Steals `limit`, and keeps it in *kept where what a program is told is not just that
 * number. */
static int
limit_take(FIO_STEALS PyObject *limit, size_t *bytes, PyObject **kept)
{
    if (PyLong_CheckExact(limit)) {
        int overflow = 0;
        long long number = PyLong_AsLongLongAndOverflow(limit, &overflow);
        *bytes = overflow == 0 && number > 0 ? (size_t)number
                 : overflow > 0              ? (size_t)PY_SSIZE_T_MAX
                                             : 0;
        if (overflow == 0 && number >= 0) {
            Py_CLEAR(*kept);
            Py_DECREF(limit);
        }
        else {
            Py_XSETREF(*kept, limit);
        }
        return 0;
    }
    double number = PyFloat_AsDouble(limit);
    if (number == -1.0 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            Py_DECREF(limit);
            return -1;
        }
        PyErr_Clear();
        number = Py_HUGE_VAL;
    }
    *bytes = limit_bytes(number);
    Py_XSETREF(*kept, limit);
    return 0;
}

PyObject *
fio_transport_py_set_limits(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    FIO_HOLD(self->stream.loop);
    static const char *const names[] = {"high", "low", NULL};
    static const fio_params params = {"set_write_buffer_limits", names, 2, 0};
    PyObject *given[] = {Py_None, Py_None};
    PyObject *high = NULL;
    PyObject *low = NULL;
    if (fio_args_parse(&params, args, nargs, kwnames, given) < 0) {
        return fio_transport_refuse(self, params.function, args, nargs, kwnames);
    }
    if (limits_from_args(given[0], given[1], &high, &low) < 0) {
        return NULL;
    }
    if (limit_take(high, &self->stream.high_water, &self->high_limit) < 0) {
        Py_DECREF(low);
        return NULL;
    }
    if (limit_take(low, &self->stream.low_water, &self->low_limit) < 0) {
        return NULL;
    }
    fio_stream_flush(&self->stream);
    fio_stream_check_high_water(&self->stream);
    Py_RETURN_NONE;
}

/* The attributes; the protocol is paused by the next write(). */
int
fio_transport_set_high_water(FioTransport *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    return limit_take(Py_NewRef(value), &self->stream.high_water, &self->high_limit);
}

int
fio_transport_set_low_water(FioTransport *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self->stream.loop);
    if (limit_take(Py_NewRef(value), &self->stream.low_water, &self->low_limit) < 0) {
        return -1;
    }
    PyObject *zero = PyLong_FromLong(0);
    int reached = zero == NULL ? -1 : PyObject_RichCompareBool(zero, value, Py_LE);
    Py_XDECREF(zero);
    if (reached == 0) {
        self->stream.low_water = FIO_STREAM_NEVER;
    }
    return reached < 0 ? -1 : 0;
}

PyObject *
fio_transport_py_get_limits(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    return Py_BuildValue("NN", fio_transport_get_low_water(self, NULL),
                         fio_transport_get_high_water(self, NULL));
}

/* For loop.sendfile(): a future that is done when nothing is left to send; write() is refused until
 * _reset_empty_waiter(). */
PyObject *
fio_transport_py_make_empty_waiter(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    if (self->empty_waiter != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    fio_stream_flush(&self->stream);
    PyObject *waiter = fio_future_new(self->st, (PyObject *)self->stream.loop);
    if (waiter == NULL) {
        return NULL;
    }
    if (self->empty_waiter != NULL) { /* made by a create_future() of the program's */
        Py_DECREF(waiter);
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
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

/* Follows _make_empty_waiter(), whose future is done: one that fails when the connection ends. */
PyObject *
fio_transport_py_make_end_waiter(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    if (!self->open) {
        PyErr_SetString(PyExc_ConnectionError, "Connection is closed by peer");
        return NULL;
    }
    PyObject *waiter = fio_future_new(self->st, (PyObject *)self->stream.loop);
    if (waiter != NULL) {
        Py_XSETREF(self->empty_waiter, Py_NewRef(waiter));
    }
    return waiter;
}

PyObject *
fio_transport_py_reset_empty_waiter(FioTransport *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD(self->stream.loop);
    Py_CLEAR(self->empty_waiter);
    Py_RETURN_NONE;
}

/* -- in tables of methods
 * --------------------------------------------------------------------------
 */

FIO_NO_ARGUMENTS(, fio_transport_py_write_eof, FioTransport, fio_transport_refuse, "write_eof")
FIO_NO_ARGUMENTS(, fio_transport_py_can_write_eof, FioTransport, fio_transport_refuse,
                 "can_write_eof")
FIO_NO_ARGUMENTS(, fio_transport_py_get_limits, FioTransport, fio_transport_refuse,
                 "get_write_buffer_limits")
FIO_NO_ARGUMENTS(, fio_transport_py_get_write_buffer_size, FioTransport, fio_transport_refuse,
                 "get_write_buffer_size")
