/* prepare(), write(), drain() and write_eof() of responses. They are coroutines in aiohttp; here
 * they do their work when they are called and give an awaitable that is done, unless the peer takes
 * output too slowly or Python has a part in making the head. */

#include "base/aio.h"
#include "base/args.h"
#include "server/response_parts.h"

/* The connection of a response that was prepared; NULL with ConnectionResetError when it is gone.
 */
static FioConn *
response_conn(FioResponse *self)
{
    FioConn *conn = self->request == NULL ? NULL : self->request->conn;
    if (conn == NULL || fio_conn_output(conn) == NULL) {
        PyErr_SetString(PyExc_ConnectionResetError, "Cannot write to closing transport");
        return NULL;
    }
    return conn;
}

#if !FIO_GIL

/* Who prepares it, or ends it, holds both, too. */
void
fio_response_hold(fio_hold_two *hold, FioResponse *self)
{
    for (;;) {
        PyObject *monitor = NULL;
        {
            FIO_HOLD(self);
            FioRequest *request = self->request;
            monitor = request == NULL
                          ? NULL
                          : Py_NewRef(fio_monitor(&request->monitor, (PyObject *)request));
        }
        fio_hold_two_begin(hold, monitor, (PyObject *)self);
        FioRequest *now = self->request;
        bool same = now == NULL || fio_monitor(&now->monitor, (PyObject *)now) == monitor;
        Py_XDECREF(monitor);
        if (same) {
            return;
        }
        fio_hold_two_end(hold);
    }
}

#endif

static PyObject *
done(FioResponse *self)
{
    return fio_ready_new(self->st, Py_None);
}

/* What to await after output: nothing, or that the peer took some. */
static PyObject *
written(FioResponse *self, FioConn *conn)
{
    fio_conn_written(conn);
    return fio_conn_must_drain(conn) ? fio_conn_drained(conn) : done(self);
}

/* -- prepare --------------------------------------------------------------------------------------
 */

static int
start(FioResponse *self, FioRequest *request)
{
    if (request->conn == NULL) {
        PyErr_SetString(PyExc_ConnectionResetError, "the request's connection is gone");
        return -1;
    }
    int64_t length = fio_response_length(self);
    if (length < -1
        || fio_response_start(self, request, request->conn, length, (fio_view){"", 0}) < 0) {
        return -1;
    }
    Py_XSETREF(self->request, (FioRequest *)Py_NewRef((PyObject *)request));
    /* The head of a response that is there as a whole goes out together with its body. */
    if (!self->whole) {
        fio_conn_written(request->conn);
    }
    return 0;
}

static FioRequest *
check_request(FioResponse *self, PyObject *request)
{
    bool right = fio_args_is("request", request, self->st->RequestType, "a Request");
    return right ? (FioRequest *)request : NULL;
}

const char fio_stream_response_start_doc[] = PyDoc_STR(
    "_start($self, request, /)\n--\n\n"
    "Send the head now, unless it was. For _prepare_slow().");

PyObject *
fio_stream_response_start(FioResponse *self, PyObject *request)
{
    FioRequest *checked = check_request(self, request);
    if (checked == NULL) {
        return NULL;
    }
    FIO_HOLD_MONITOR_AND(checked, self);
    if (!self->prepared && start(self, checked) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static bool
head_needs_python(const FioResponse *self, const FioRequest *request)
{
    return self->cold || (request->match.route != NULL && request->match.route->signals)
           || (self->whole && self->body != NULL && !fio_body_is_plain(self->body));
}

/* aiohttp: FileResponse.prepare() sends the body as well. */
static PyObject *
prepare_file(FioResponse *self, FioRequest *request)
{
    FioConn *conn = request->conn;
    if (conn == NULL) {
        PyErr_SetString(PyExc_ConnectionResetError, "the request's connection is gone");
        return NULL;
    }
    Py_INCREF(conn); /* the output may close it */
    int status = fio_file_send(self, request, conn);
    PyObject *result = NULL;
    if (status > 0) {
        result = fio_file_send_rest(self);
    }
    else if (status == 0) {
        result = fio_ready_new(self->st, (PyObject *)self);
    }
    Py_DECREF(conn);
    return result;
}

const char fio_stream_response_prepare_doc[] = PyDoc_STR(
    "prepare($self, request, /)\n--\n\n"
    "Awaitable: sends the head. Gives the response, or None after write_eof().\n\n"
    "Raises ValueError for fields that cannot be sent, ConnectionResetError when the "
    "client is gone.");

PyObject *
fio_stream_response_prepare(FioResponse *self, PyObject *request)
{
    FioRequest *checked = check_request(self, request);
    if (checked == NULL) {
        return NULL;
    }
    FIO_HOLD_MONITOR_AND(checked, self);
    if (self->eof_sent) {
        return done(self);
    }
    if (!self->prepared) {
        if (head_needs_python(self, checked)) {
            if (self->is_file && fio_file_describe(self, checked) < 0) {
                return NULL;
            }
            return PyObject_CallMethod((PyObject *)self, "_prepare_slow", "O", request);
        }
        if (self->is_file) {
            return prepare_file(self, checked);
        }
        if (start(self, checked) < 0) {
            return NULL;
        }
    }
    return fio_ready_new(self->st, (PyObject *)self);
}

/* -- write ----------------------------------------------------------------------------------------
 */

/* Writes any bytes-like object. */
static int
write_object(FioResponse *self, FioConn *conn, PyObject *data)
{
    if (PyBytes_CheckExact(data)) {
        return fio_response_write(self, conn, fio_body_view(data), data);
    }
    if (!PyObject_CheckBuffer(data)) {
        PyErr_Format(PyExc_TypeError, "data argument must be byte-ish (%R)", Py_TYPE(data));
        return -1;
    }
    Py_buffer buffer;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    fio_view view = {buffer.buf, (size_t)buffer.len};
    int status = fio_response_write(self, conn, view, NULL);
    PyBuffer_Release(&buffer);
    return status;
}

const char fio_stream_response_write_doc[] = PyDoc_STR(
    "write($self, data, /)\n--\n\n"
    "Awaitable: sends bytes of the body; waits only while the client takes them too "
    "slowly.\n\nRaises RuntimeError before prepare() and after write_eof(), "
    "ConnectionResetError when the client is gone.");

PyObject *
fio_stream_response_write(FioResponse *self, PyObject *data)
{
    FIO_HOLD_PREPARED(self);
    if (self->eof_sent || !self->prepared) {
        PyErr_SetString(PyExc_RuntimeError, self->eof_sent
                                                ? "Cannot call write() after write_eof()"
                                                : "Cannot call write() before prepare()");
        return NULL;
    }
    FioConn *conn = response_conn(self);
    if (conn == NULL) {
        return NULL;
    }
    Py_INCREF(conn); /* the output may close it */
    PyObject *result = write_object(self, conn, data) < 0 ? NULL : written(self, conn);
    Py_DECREF(conn);
    return result;
}

const char fio_stream_response_drain_doc[] = PyDoc_STR(
    "drain($self, /)\n--\n\nAwaitable: waits while too much output is unsent.");

PyObject *
fio_stream_response_drain(FioResponse *self, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_PREPARED(self);
    if (self->eof_sent || !self->prepared) {
        PyErr_SetString(PyExc_AssertionError, self->eof_sent ? "EOF has already been sent"
                                                             : "Response has not been started");
        return NULL;
    }
    FioConn *conn = response_conn(self);
    if (conn == NULL) {
        return NULL;
    }
    return fio_conn_must_drain(conn) ? fio_conn_drained(conn) : done(self);
}

/* The rest of the body: `data`, or what a Response holds. */
static int
write_end(FioResponse *self, FioConn *conn, PyObject *data)
{
    if (data != NULL && write_object(self, conn, data) < 0) {
        return -1;
    }
    if (self->whole && self->body != NULL && fio_body_is_plain(self->body)
        && fio_response_write(self, conn, fio_body_view(self->body), NULL) < 0) {
        return -1;
    }
    return fio_response_finish(self, conn);
}

const char fio_stream_response_write_eof_doc[] = PyDoc_STR(
    "write_eof($self, /, data=b'')\n--\n\nAwaitable: sends the last bytes and ends the "
    "body. Does nothing when it was ended before.");

PyObject *
fio_stream_response_write_eof(FioResponse *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    FIO_HOLD_PREPARED(self);
    static const char *const params[] = {"data", NULL};
    static const fio_params spec = {"write_eof", params, 1, 0};
    PyObject *data = NULL;
    if (fio_args_parse(&spec, args, nargs, kwnames, &data) < 0) {
        return NULL;
    }
    if (self->eof_sent) {
        return done(self);
    }
    if (!self->prepared) {
        PyErr_SetString(PyExc_AssertionError, "Response has not been started");
        return NULL;
    }
    FioConn *conn = response_conn(self);
    if (conn == NULL) {
        return NULL;
    }
    Py_INCREF(conn); /* the output may close it, and the request is dropped */
    int slow = self->file_left > 0 ? fio_file_body(self, conn) : 0;
    PyObject *result = NULL;
    if (slow > 0) {
        result = fio_file_send_rest(self);
    }
    else if (slow == 0 && write_end(self, conn, data) == 0) {
        result = written(self, conn);
    }
    Py_DECREF(conn);
    return result;
}
