/* The pump of TLS: what runs per read and per write of an encrypted connection. Reading never makes
 * an object larger than what has arrived, and neither direction holds a buffer while idle. What it
 * cannot decide alone (handshake, shutdown, errors) it calls the inherited SSLProtocol for. */

#include "net/tls.h"

#include "net/transport.h"

/* One TLS record carries at most this much; larger reads go into one object record by record. */
#define TLS_RECORD_SIZE (16 * 1024)

/* More ciphertext than this is handed in a record at a time. */
#define TLS_BULK_SIZE (2 * TLS_RECORD_SIZE)

/* Ciphertext up to this size is copied into the carrier's gathered output, larger is queued. */
#define TLS_GATHER_SIZE (16 * 1024)

static bool
tls_in_state(const FioTLS *self, PyObject *state)
{
    return self->state == state;
}

static int
tls_call(FioTLS *self, PyObject *method)
{
    PyObject *none = PyObject_CallMethodNoArgs((PyObject *)self, method);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* self._fatal_error(exc, message) for a raised Exception; another BaseException stays raised. */
static int
tls_fatal(FioTLS *self)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    /* Its log record asks for the exception being handled. */
    PyObject *outer = PyErr_GetHandledException();
    PyObject *exc = PyErr_GetRaisedException();
    PyErr_SetHandledException(exc);
    PyObject *none = PyObject_CallMethod((PyObject *)self, "_fatal_error", "Os", exc,
                                         "Fatal error on SSL protocol");
    PyErr_SetHandledException(outer);
    Py_XDECREF(outer);
    Py_DECREF(exc);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* -- outgoing
 * --------------------------------------------------------------------------------------- */

/* Calls the inherited flow control when the unsent size has crossed a mark (asyncio:
 * sslproto._control_app_writing). */
static int
tls_control_writing(FioTLS *self)
{
    Py_ssize_t size = fio_tls_unsent(self);
    if (size < 0) {
        return -1;
    }
    size += self->backlog_size;
    bool over = size >= self->outgoing_high && !self->app_writing_paused;
    bool under = size <= self->outgoing_low && self->app_writing_paused;
    return over || under ? tls_call(self, self->st->str__control_app_writing) : 0;
}

static int
tls_send(FioTLS *self, PyObject *data)
{
    const char *bytes = PyBytes_AS_STRING(data);
    size_t size = (size_t)PyBytes_GET_SIZE(data);
    /* A closing transport still takes data while older data is on its way (asyncio:
     * selector_events.write): the close_notify behind a long backlog. Its write() knows. */
    if (self->wire == NULL || self->wire->closing) {
        if (self->transport == NULL || self->transport == Py_None) {
            return 0;
        }
        PyObject *transport = Py_NewRef(self->transport);
        PyObject *none = PyObject_CallMethodOneArg(transport, self->st->str_write, data);
        Py_DECREF(transport);
        Py_XDECREF(none);
        return none == NULL ? -1 : 0;
    }
    if (size > TLS_GATHER_SIZE) {
        return self->wire->ops->send(self->wire, bytes, size, data);
    }
    if (fio_buf_append(&self->wire->out, bytes, size) < 0) {
        return -1;
    }
    self->wire->ops->commit(self->wire);
    return 0;
}

/* asyncio: sslproto._process_outgoing */
int
fio_tls_process_outgoing(FioTLS *self)
{
    if (!self->ssl_writing_paused) {
        Py_ssize_t unsent = fio_tls_unsent(self);
        if (unsent < 0) {
            return -1;
        }
        if (unsent > 0) {
            PyObject *data = fio_tls_take(self);
            int err = data == NULL ? -1 : tls_send(self, data);
            Py_XDECREF(data);
            if (err < 0) {
                return -1;
            }
        }
        else if (self->wire != NULL && fio_buf_size(&self->wire->out) > 0) {
            self->wire->ops->commit(self->wire); /* of tls_gather(), and no more followed */
        }
    }
    return tls_control_writing(self);
}

/* Takes encrypted records out of the library, which else keeps memory for as much as it has held
 * once, and another hundred kilobytes for each connection are no longer in the processor's cache.
 * They go out with what follows. */
static int
tls_gather(FioTLS *self, Py_ssize_t follows)
{
    if (self->ssl_writing_paused || self->wire == NULL || self->wire->closing) {
        return 0;
    }
    PyObject *data = fio_tls_take(self);
    if (data == NULL) {
        return -1;
    }
    size_t size = (size_t)PyBytes_GET_SIZE(data);
    fio_buf *out = self->wire == NULL || self->wire->closing ? NULL : &self->wire->out;
    int err = 0;
    if (out == NULL) {
        err = tls_send(self, data); /* what gave it was the program's, and has ended the wire */
    }
    else if ((err = fio_buf_reserve(out, size + (size_t)follows)) == 0) {
        err = fio_buf_append(out, PyBytes_AS_STRING(data), size);
    }
    Py_DECREF(data);
    return err;
}

/* Encrypts all of the view: how many bytes were taken (fewer when the library wants to read). */
static Py_ssize_t
tls_encrypt(FioTLS *self, const char *data, Py_ssize_t size)
{
    Py_ssize_t taken = 0;
    while (taken < size) {
        Py_ssize_t piece = size - taken < TLS_RECORD_SIZE ? size - taken : TLS_RECORD_SIZE;
        Py_ssize_t count = fio_tls_write(self, data + taken, (size_t)piece);
        if (count == -2) {
            break;
        }
        if (count < 0) {
            return -1;
        }
        taken += count;
        if (taken < size && tls_gather(self, size - taken) < 0) {
            return -1;
        }
    }
    return taken;
}

/* backlog.<name>(), or with one argument. */
static PyObject *
tls_backlog_call(FioTLS *self, PyObject *name, PyObject *arg)
{
    if (self->backlog == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_write_backlog");
        return NULL;
    }
    PyObject *backlog = Py_NewRef(self->backlog);
    PyObject *result = PyObject_CallMethodObjArgs(backlog, name, arg, NULL);
    Py_DECREF(backlog);
    return result;
}

/* Keeps a snapshot of the bytes until they can be encrypted. */
static int
tls_postpone(FioTLS *self, const char *data, Py_ssize_t size, bool first)
{
    PyObject *copy = PyBytes_FromStringAndSize(data, size);
    if (copy == NULL) {
        return -1;
    }
    PyObject *none = tls_backlog_call(self, first ? self->st->str_appendleft : self->st->str_append,
                                      copy);
    Py_DECREF(copy);
    if (none == NULL) {
        return -1;
    }
    Py_DECREF(none);
    self->backlog_size += size;
    return 0;
}

static int
tls_write_buffer(FioTLS *self, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    Py_ssize_t taken = 0;
    if (tls_in_state(self, self->st->tls_WRAPPED) && self->backlog_size == 0) {
        taken = tls_encrypt(self, view.buf, view.len);
    }
    int err = taken < 0 ? -1 : 0;
    if (err == 0 && taken < view.len) {
        err = tls_postpone(self, (const char *)view.buf + taken, view.len - taken, false);
    }
    PyBuffer_Release(&view);
    return err;
}

/* Encrypts what was postponed (asyncio: sslproto._do_write). */
static int
tls_write_backlog(FioTLS *self)
{
    while (self->backlog_size > 0) {
        PyObject *data = tls_backlog_call(self, self->st->str_popleft, NULL);
        if (data == NULL) {
            return -1;
        }
        if (!PyBytes_Check(data)) {
            PyErr_SetString(PyExc_TypeError, "_write_backlog holds bytes");
            Py_DECREF(data);
            return -1;
        }
        Py_ssize_t size = PyBytes_GET_SIZE(data);
        self->backlog_size -= size;
        Py_ssize_t taken = tls_encrypt(self, PyBytes_AS_STRING(data), size);
        int err = taken < 0 ? -1 : 0;
        if (err == 0 && taken < size) {
            err = tls_postpone(self, PyBytes_AS_STRING(data) + taken, size - taken, true);
        }
        Py_DECREF(data);
        if (err < 0 || taken < size) {
            return err;
        }
    }
    return 0;
}

int
fio_tls_do_write(FioTLS *self)
{
    return tls_write_backlog(self) < 0 ? -1 : fio_tls_process_outgoing(self);
}

static bool
tls_takes_writes(const FioTLS *self)
{
    return tls_in_state(self, self->st->tls_WRAPPED)
           || tls_in_state(self, self->st->tls_DO_HANDSHAKE);
}

/* Sends what was encrypted; `err`: of the writes before. */
static int
tls_end_writes(FioTLS *self, int err)
{
    if (err == 0 && tls_in_state(self, self->st->tls_WRAPPED)) {
        err = fio_tls_process_outgoing(self);
    }
    return err < 0 ? tls_fatal(self) : 0;
}

int
fio_tls_write_one(FioTLS *self, PyObject *data)
{
    if (!tls_takes_writes(self)) {
        return tls_call(self, self->st->str__write_after_close);
    }
    return tls_end_writes(self, tls_write_buffer(self, data));
}

int
fio_tls_write_each(FioTLS *self, PyObject *iterable)
{
    if (!tls_takes_writes(self)) {
        return tls_call(self, self->st->str__write_after_close);
    }
    PyObject *iterator = PyObject_GetIter(iterable);
    if (iterator == NULL) {
        return -1;
    }
    int err = 0;
    PyObject *item = NULL;
    while (err == 0 && (item = PyIter_Next(iterator)) != NULL) {
        if (PyObject_Size(item) < 0) {
            /* The caller's mistake, not the connection's: what came before goes with the next. */
            Py_DECREF(item);
            break;
        }
        err = tls_write_buffer(self, item);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    if (err == 0 && PyErr_Occurred()) {
        return -1;
    }
    return tls_end_writes(self, err);
}

/* -- incoming
 * --------------------------------------------------------------------------------------- */

/* How much of `rest` the next record takes; the 5 bytes in front of it say how long it is (RFC
 * 8446, 5.1). Where others have handed in something between, the pieces are just odd. */
static size_t
tls_next_record(FioTLS *self, const char *rest, size_t size)
{
    size_t taken = 0;
    while (self->record_left == 0 && taken < size) {
        self->header[self->header_size++] = (unsigned char)rest[taken++];
        if (self->header_size == sizeof(self->header)) {
            self->record_left = (size_t)self->header[3] << 8 | self->header[4];
            self->header_size = 0;
        }
    }
    size_t body = size - taken < self->record_left ? size - taken : self->record_left;
    self->record_left -= body;
    return taken + body;
}

/* Hands in whole records until there are `least` bytes, or all. */
static int
tls_feed(FioTLS *self, size_t least)
{
    size_t size = 0;
    while (size < least && size < self->rest_size) {
        size += tls_next_record(self, self->rest + size, self->rest_size - size);
    }
    const char *data = self->rest;
    self->rest += size;
    self->rest_size -= size;
    return size == 0 ? 0 : fio_tls_put(self, data, size);
}

static int
tls_feed_all(FioTLS *self)
{
    return tls_feed(self, self->rest_size);
}

/* Bytes that have come and were not read; -1: exception set. In the library there is something,
 * if there is anything. */
static Py_ssize_t
tls_waiting(FioTLS *self)
{
    Py_ssize_t waiting = fio_tls_waiting(self);
    if (waiting == 0 && self->rest_size > 0) {
        if (tls_feed(self, 1) < 0) {
            return -1;
        }
        waiting = fio_tls_waiting(self);
    }
    return waiting < 0 ? -1 : waiting + (Py_ssize_t)self->rest_size;
}

/* The peer's close_notify (asyncio: the end of sslproto._do_read__copied). */
static int
tls_on_close_notify(FioTLS *self)
{
    return tls_call(self, self->st->str__call_eof_received) < 0
                   || tls_call(self, self->st->str__start_shutdown) < 0
               ? -1
               : 0;
}

/* Decrypts record by record into one bytes object of at most `room`. *closed: the close_notify was
 * met. An empty result means nothing was complete. */
static PyObject *
tls_read_records(FioTLS *self, Py_ssize_t room, bool *closed)
{
    PyObject *data = PyBytes_FromStringAndSize(NULL, room);
    Py_ssize_t size = 0;
    while (data != NULL && size < room) {
        Py_ssize_t count = fio_tls_read_into(self, PyBytes_AS_STRING(data) + size, room - size);
        if (count == -1) {
            Py_CLEAR(data);
            return NULL;
        }
        *closed = count == 0;
        size += count > 0 ? count : 0;
        if (count != 0 && self->rest_size > 0) {
            if (tls_feed(self, 1) < 0) {
                Py_CLEAR(data);
                return NULL;
            }
            continue;
        }
        if (count <= 0) {
            break;
        }
        Py_ssize_t waiting = tls_waiting(self);
        if (waiting < 0) {
            Py_CLEAR(data);
            return NULL;
        }
        if (waiting == 0) {
            break;
        }
    }
    if (data != NULL && size < room) {
        (void)_PyBytes_Resize(&data, size); /* NULL with MemoryError when it fails */
    }
    return data;
}

static PyObject *
tls_read_record(FioTLS *self, Py_ssize_t room, bool *closed)
{
    PyObject *data = fio_tls_read(self, room);
    if (data == Py_None) {
        Py_DECREF(data);
        return PyBytes_FromStringAndSize(NULL, 0);
    }
    *closed = data != NULL && PyBytes_GET_SIZE(data) == 0;
    return data;
}

static int
tls_deliver(FioTLS *self, PyObject *data)
{
    if (self->app_protocol == NULL || self->app_protocol == Py_None) {
        return 0;
    }
    PyObject *protocol = Py_NewRef(self->app_protocol);
    FIO_LET_GO_MONITOR(&self->super);
    PyObject *none = PyObject_CallMethodOneArg(protocol, self->st->str_data_received, data);
    FIO_TAKE_BACK();
    Py_DECREF(protocol);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* All that has arrived: mostly one record. Of one that came in pieces the library holds the first,
 * and gives up to a record more than is waiting. */
static PyObject *
tls_read_all(FioTLS *self, Py_ssize_t waiting, bool *closed)
{
    if (waiting > TLS_RECORD_SIZE) {
        return tls_read_records(self, waiting + TLS_RECORD_SIZE, closed);
    }
    PyObject *data = tls_read_record(self, waiting, closed);
    if (data == NULL || *closed || PyBytes_GET_SIZE(data) == 0) {
        return data;
    }
    waiting = tls_waiting(self);
    if (waiting > 0) {
        PyObject *rest = tls_read_records(self, waiting + TLS_RECORD_SIZE, closed);
        if (rest == NULL) {
            Py_CLEAR(data);
        }
        else {
            PyBytes_ConcatAndDel(&data, rest); /* NULL with MemoryError when it fails */
        }
    }
    else if (waiting < 0) {
        Py_CLEAR(data);
    }
    return data;
}

/* One data_received() for all of it, whatever it does to the connection (asyncio:
 * sslproto._do_read__copied). */
static int
tls_read_copied(FioTLS *self)
{
    bool closed = false;
    Py_ssize_t waiting = tls_waiting(self);
    if (waiting <= 0) {
        return waiting < 0 ? -1 : 0;
    }
    PyObject *data = tls_read_all(self, waiting, &closed);
    if (data == NULL) {
        return -1;
    }
    int err = tls_feed_all(self); /* what is called next may do anything */
    if (err == 0 && PyBytes_GET_SIZE(data) > 0) {
        err = tls_deliver(self, data);
    }
    Py_DECREF(data);
    return err == 0 && closed ? tls_on_close_notify(self) : err;
}

/* Fills the protocol's own buffer: how many bytes; *closed as above. */
static Py_ssize_t
tls_fill(FioTLS *self, PyObject *buffer, bool *closed, bool *full)
{
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0) {
        return -1;
    }
    Py_ssize_t size = 0;
    Py_ssize_t waiting = view.len == 0 ? -1 : 1;
    if (view.len == 0) {
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    }
    while (waiting > 0 && size < view.len) {
        Py_ssize_t count = fio_tls_read_into(self, (char *)view.buf + size, view.len - size);
        *closed = count == 0;
        if (count <= 0) {
            waiting = count == -1 ? -1 : 0;
            break;
        }
        size += count;
        waiting = fio_tls_waiting(self);
    }
    *full = size == view.len;
    PyBuffer_Release(&view);
    return waiting < 0 ? -1 : size;
}

static bool
tls_delivers(const FioTLS *self)
{
    return tls_in_state(self, self->st->tls_WRAPPED) || tls_in_state(self, self->st->tls_FLUSHING);
}

/* There is more than the buffer took, and the call that is to come may run the loop, which knows of
 * what is in the kernel only: has it read on then. */
static int
tls_read_on(FioTLS *self)
{
    FioLoop *loop = self->carrier == NULL ? NULL : ((FioTransport *)self->carrier)->stream.loop;
    if (loop == NULL || !loop->allows_nested) {
        return 0;
    }
    Py_ssize_t waiting = fio_tls_waiting(self);
    if (waiting <= 0) {
        return waiting < 0 ? -1 : 0;
    }
    PyObject *method = PyObject_GetAttrString((PyObject *)self, "_do_read");
    PyObject *handle = method == NULL ? NULL : fio_loop_call_soon(loop, method, NULL, NULL);
    Py_XDECREF(method);
    Py_XDECREF(handle);
    return handle == NULL ? -1 : 0;
}

static int
tls_read_buffered(FioTLS *self)
{
    bool closed = false;
    bool full = true;
    while (full && !closed && !self->app_reading_paused && self->app_protocol != Py_None
           && tls_delivers(self)) {
        if (!self->app_is_buffered) {
            return tls_read_copied(self); /* the rest is the new protocol's */
        }
        Py_ssize_t waiting = fio_tls_waiting(self);
        if (waiting <= 0) {
            return waiting < 0 ? -1 : 0;
        }
        PyObject *protocol = Py_NewRef(self->app_protocol);
        PyObject *buffer = PyObject_CallMethod(protocol, "get_buffer", "n", waiting);
        Py_ssize_t size = buffer == NULL ? -1 : tls_fill(self, buffer, &closed, &full);
        Py_XDECREF(buffer);
        if (size > 0 && full && !closed && tls_read_on(self) < 0) {
            size = -1;
        }
        PyObject *none = Py_NewRef(Py_None);
        if (size > 0) {
            FIO_LET_GO_MONITOR(&self->super);
            Py_SETREF(none, PyObject_CallMethod(protocol, "buffer_updated", "n", size));
            FIO_TAKE_BACK();
        }
        Py_DECREF(protocol);
        Py_XDECREF(none);
        if (size < 0 || none == NULL) {
            return -1;
        }
    }
    return closed && tls_delivers(self) ? tls_on_close_notify(self) : 0;
}

/* asyncio: sslproto._do_read */
int
fio_tls_do_read(FioTLS *self)
{
    if (!tls_delivers(self)) {
        return 0;
    }
    int err = 0;
    if (!self->app_reading_paused) {
        err = self->app_is_buffered ? tls_read_buffered(self) : tls_read_copied(self);
        if (err == 0) {
            err = fio_tls_do_write(self);
        }
    }
    if (err == 0 && (self->app_reading_paused || self->ssl_reading_paused)) {
        err = tls_call(self, self->st->str__control_ssl_reading);
    }
    return err < 0 ? tls_fatal(self) : 0;
}

int
fio_tls_on_data(FioTLS *self, const char *data, size_t size)
{
    if (self->rest_size > 0 && tls_feed_all(self) < 0) { /* a run within a call of the library */
        return -1;
    }
    bool wrapped = tls_in_state(self, self->st->tls_WRAPPED);
    self->rest = data;
    self->rest_size = size;
    int err = 0;
    if (size <= TLS_BULK_SIZE || !wrapped || self->app_is_buffered || self->app_reading_paused) {
        err = tls_feed_all(self);
    }
    if (err == 0) {
        err = wrapped ? fio_tls_do_read(self) : tls_call(self, self->st->str__advance);
    }
    if (self->rest_size > 0) {
        /* Also where a signal's handler has raised: the connection goes on. */
        PyObject *exc = PyErr_GetRaisedException();
        int fed = tls_feed_all(self);
        if (exc != NULL) {
            PyErr_SetRaisedException(exc); /* in the place of another */
        }
        err = err < 0 ? err : fed;
    }
    return err;
}
