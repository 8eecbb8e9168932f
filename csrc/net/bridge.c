/* The link between a stream and a Python protocol: asyncio's calls (data_received, get_buffer and
 * buffer_updated, eof_received, pause_writing, ...) made from C in the transport's own context,
 * with asyncio's reports when one of them raises. */

#include "net/bridge.h"

/* After a read of at least this size the next one is expected to be like it and goes straight into
 * a bytes object instead of through the slab: copying so much costs more than an object that is
 * made too large and then cut. */
#define BRIDGE_BULK_READ ((size_t)8 * 1024)

/* The largest such object, and what it is after a read of at least BRIDGE_LARGE_READ: what asyncio
 * reads at most in one go (_SelectorTransport.max_size). */
#define BRIDGE_BULK_MAX ((size_t)256 * 1024)
#define BRIDGE_LARGE_READ ((size_t)128 * 1024)

/* Objects are made in steps of this many bytes: reads of nearly the same size find the same hole in
 * the heap again. */
#define BRIDGE_BULK_STEP ((size_t)4 * 1024)

static FioTransport *
bridge_transport(fio_link *link)
{
    return FIO_CONTAINER_OF(link, FioTransport, bridge);
}

static PyObject *
bridge_call(FioTransport *self, PyObject *name, PyObject *const *all, size_t count)
{
    FIO_LET_GO(self->stream.loop);
    PyObject *result = PyObject_VectorcallMethod(name, all, count, NULL);
    FIO_TAKE_BACK();
    return result;
}

PyObject *
fio_bridge_call(FioTransport *self, PyObject *name, PyObject *const *args, size_t nargs)
{
    assert(nargs <= 2);
    if (FIO_UNLIKELY(self->protocol == NULL)) {
        Py_RETURN_NONE; /* lost while something was on its way */
    }
    PyObject *context = Py_XNewRef(self->context);
    PyObject *all[3] = {Py_NewRef(self->protocol)};
    for (size_t i = 0; i < nargs; i++) {
        all[i + 1] = args[i];
    }
    PyObject *result = NULL;
    if (FIO_UNLIKELY(context == NULL)) {
        /* Out of connection_made(): in the context that calls us, as on asyncio. */
        result = bridge_call(self, name, all, nargs + 1);
    }
    else if (FIO_LIKELY(PyContext_Enter(context) == 0)
             || fio_loop_reenter_context(self->stream.loop, &context) == 0) {
        result = bridge_call(self, name, all, nargs + 1);
        if (PyContext_Exit(context) < 0) {
            Py_CLEAR(result);
        }
    }
    Py_DECREF(all[0]);
    Py_XDECREF(context);
    return result;
}

int
fio_bridge_tell_lost(FioTransport *self, PyObject *protocol, PyObject *exc)
{
    PyObject *all[2] = {protocol, exc == NULL ? Py_None : exc};
    PyObject *none = bridge_call(self, self->st->str_connection_lost, all, 2);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* A call whose failure ends the connection. */
static void
bridge_call_or_fail(FioTransport *self, PyObject *name, PyObject *arg, const char *message)
{
    PyObject *result = fio_bridge_call(self, name, &arg, 1);
    if (result != NULL) {
        Py_DECREF(result);
    }
    else if (self->stream.kind->is_socket) {
        fio_transport_fatal(self, message);
    }
    else {
        /* asyncio's pipes leave it to the loop to report, and go on. */
        fio_transport_report(self, message);
    }
}

/* -- asyncio.Protocol -----------------------------------------------------------------------------
 */

static char *
bridge_bulk_buffer(fio_link *link, size_t *size)
{
    FioTransport *self = bridge_transport(link);
    if (self->stream.bulk_size == 0) {
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)self->stream.bulk_size);
    if (bytes == NULL) {
        /* The slab serves as well. */
        PyErr_Clear();
        return NULL;
    }
    Py_XSETREF(self->incoming, bytes);
    *size = self->stream.bulk_size;
    return PyBytes_AS_STRING(bytes);
}

/* What the next read is expected to bring, and a little more. */
static uint32_t
bridge_next_bulk(size_t got, size_t room)
{
    if (got < BRIDGE_BULK_READ) {
        return 0;
    }
    if (got >= BRIDGE_LARGE_READ) {
        return BRIDGE_BULK_MAX;
    }
    if (got < room && got >= room / 4) {
        return (uint32_t)room;
    }
    size_t next = got == room ? got * 2 : (got / BRIDGE_BULK_STEP + 1) * BRIDGE_BULK_STEP;
    return (uint32_t)(next < BRIDGE_BULK_MAX ? next : BRIDGE_BULK_MAX);
}

static void
bridge_bulk_unused(fio_link *link)
{
    Py_CLEAR(bridge_transport(link)->incoming);
}

static void
bridge_data(fio_link *link, const char *data, size_t size)
{
    FioTransport *self = bridge_transport(link);
    PyObject *bytes = self->incoming;
    self->incoming = NULL;
    if (bytes == NULL) {
        bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    }
    else {
        (void)_PyBytes_Resize(&bytes, (Py_ssize_t)size); /* NULL when it fails */
    }
    if (bytes == NULL) {
        fio_transport_fatal(self, self->stream.kind->read_error);
        return;
    }
    self->stream.bulk_size = bridge_next_bulk(size, self->stream.bulk_size);
    bridge_call_or_fail(self, self->st->str_data_received, bytes,
                        "Fatal error: protocol.data_received() call failed.");
    Py_DECREF(bytes);
}

/* -- asyncio.BufferedProtocol ---------------------------------------------------------------------
 */

#define GET_BUFFER_FAILED "Fatal error: protocol.get_buffer() call failed."

/* What asyncio says to a buffer that cannot be read into. */
static void
bridge_refuse_buffer(FioTransport *self, PyObject *object)
{
    PyErr_Clear();
    Py_ssize_t length = PyObject_Size(object);
    if (length == 0) {
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    }
    if (length <= 0) {
        fio_transport_fatal(self, GET_BUFFER_FAILED);
        return;
    }
    PyErr_Format(PyExc_TypeError,
                 "recv_into() argument 1 must be read-write bytes-like object, not %.50s",
                 Py_TYPE(object)->tp_name);
    fio_transport_fatal(self, self->stream.kind->read_error);
}

static int
bridge_export(FioTransport *self)
{
    PyObject *hint = PyLong_FromLong(-1);
    if (hint == NULL) {
        fio_transport_fatal(self, self->stream.kind->read_error);
        return -1;
    }
    PyObject *object = fio_bridge_call(self, self->st->str_get_buffer, &hint, 1);
    Py_DECREF(hint);
    if (object == NULL) {
        fio_transport_fatal(self, GET_BUFFER_FAILED);
        return -1;
    }
    int result = PyObject_GetBuffer(object, self->exported, PyBUF_WRITABLE);
    if (result < 0) {
        bridge_refuse_buffer(self, object);
    }
    else if (self->exported->len == 0) {
        PyBuffer_Release(self->exported);
        bridge_refuse_buffer(self, object);
        result = -1;
    }
    Py_DECREF(object);
    return result;
}

static char *
bridge_export_buffer(fio_link *link, size_t *size)
{
    FioTransport *self = bridge_transport(link);
    if (bridge_export(self) < 0) {
        return NULL;
    }
    *size = (size_t)self->exported->len;
    return self->exported->buf;
}

static void
bridge_export_unused(fio_link *link)
{
    PyBuffer_Release(bridge_transport(link)->exported);
}

static void
bridge_export_data(fio_link *link, const char *Py_UNUSED(data), size_t size)
{
    FioTransport *self = bridge_transport(link);
    PyBuffer_Release(self->exported);
    PyObject *count = PyLong_FromSize_t(size);
    if (count == NULL) {
        fio_transport_fatal(self, self->stream.kind->read_error);
        return;
    }
    bridge_call_or_fail(self, self->st->str_buffer_updated, count,
                        "Fatal error: protocol.buffer_updated() call failed.");
    Py_DECREF(count);
}

/* -- both -----------------------------------------------------------------------------------------
 */

static bool
bridge_eof(fio_link *link)
{
    FioTransport *self = bridge_transport(link);
    PyObject *result = fio_bridge_call(self, self->st->str_eof_received, NULL, 0);
    int keep_open = result == NULL ? -1 : PyObject_IsTrue(result);
    Py_XDECREF(result);
    if (keep_open < 0) {
        fio_transport_fatal(self, "Fatal error: protocol.eof_received() call failed.");
    }
    return keep_open != 0;
}

/* Called out of write(), in its caller's context. A failing pause or resume is reported and changes
 * nothing (asyncio: _FlowControlMixin). */
static void
bridge_pause_writing(fio_link *link)
{
    FioTransport *self = bridge_transport(link);
    PyObject *protocol = Py_NewRef(self->protocol);
    FIO_LET_GO(self->stream.loop);
    PyObject *result = PyObject_CallMethodNoArgs(protocol, self->st->str_pause_writing);
    FIO_TAKE_BACK();
    if (result == NULL) {
        fio_transport_report(self, "protocol.pause_writing() failed");
    }
    Py_XDECREF(result);
    Py_DECREF(protocol);
}

static void
bridge_resume_writing(fio_link *link)
{
    FioTransport *self = bridge_transport(link);
    PyObject *result = fio_bridge_call(self, self->st->str_resume_writing, NULL, 0);
    if (result == NULL) {
        fio_transport_report(self, "protocol.resume_writing() failed");
    }
    Py_XDECREF(result);
}

void
fio_bridge_clear(FioTransport *self)
{
    Py_CLEAR(self->incoming);
    PyMem_Free(self->exported);
    self->exported = NULL;
}

const fio_link_ops fio_bridge_protocol_ops = {
    .buffer = bridge_bulk_buffer,
    .unused = bridge_bulk_unused,
    .data = bridge_data,
    .eof = bridge_eof,
    .pause_writing = bridge_pause_writing,
    .resume_writing = bridge_resume_writing,
};

const fio_link_ops fio_bridge_buffered_ops = {
    .buffer = bridge_export_buffer,
    .unused = bridge_export_unused,
    .data = bridge_export_data,
    .eof = bridge_eof,
    .pause_writing = bridge_pause_writing,
    .resume_writing = bridge_resume_writing,
};
