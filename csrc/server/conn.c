/* The life of a connection: what its wire tells it, what it waits for and what happens when that
 * does not come. */

#include "server/conn.h"

#include "base/aio.h"
#include "server/conn_parts.h"

static FioConn *
conn_of(fio_link *link)
{
    return FIO_CONTAINER_OF(link, FioConn, super.link);
}

/* -- waits ----------------------------------------------------------------------------------------
 */

/* What the connection waits for by its state. */
static fio_wait
conn_awaits(const FioConn *conn)
{
    if (conn->write_paused && conn->phase < FIO_PHASE_CLOSED) {
        return FIO_WAIT_WRITE;
    }
    switch (conn->phase) {
    case FIO_PHASE_HEAD:
        return conn->parser != NULL || conn->served == 0 ? FIO_WAIT_HEAD : FIO_WAIT_IDLE;
    case FIO_PHASE_BODY:
        return (conn->paused & FIO_PAUSE_BODY) != 0 ? FIO_WAIT_NONE : FIO_WAIT_BODY;
    case FIO_PHASE_DRAIN:
        return FIO_WAIT_BODY;
    case FIO_PHASE_LINGER:
        return FIO_WAIT_CLOSE;
    default:
        return FIO_WAIT_NONE;
    }
}

void
fio_conn_settle(FioConn *conn)
{
    if (conn->wire == NULL || conn->phase == FIO_PHASE_CLOSED) {
        return;
    }
    const fio_wait what = conn_awaits(conn);
    /* A head, the peer's reading and its closing have a time as a whole; the others begin anew. */
    const bool is_whole = what == FIO_WAIT_HEAD || what == FIO_WAIT_WRITE || what == FIO_WAIT_CLOSE;
    if (conn->wait == what && (is_whole || what == FIO_WAIT_NONE)) {
        return;
    }
    if (what == FIO_WAIT_WRITE) {
        conn->unsent = conn->wire->ops->unsent(conn->wire);
    }
    fio_server_wait(conn->server, conn, what);
}

static void
body_expired(FioConn *conn)
{
    if (conn->phase == FIO_PHASE_DRAIN) {
        fio_conn_linger(conn);
        return;
    }
    PyObject *exc = PyObject_CallFunction(PyExc_TimeoutError, "s", "the request body stalled");
    if (exc == NULL) {
        PyErr_Clear();
        fio_conn_abort(conn);
        return;
    }
    fio_conn_body_failed(conn, -408, exc, NULL);
    Py_DECREF(exc);
}

static void
write_expired(FioConn *conn)
{
    const size_t unsent = conn->wire->ops->unsent(conn->wire);
    if (unsent < conn->unsent) {
        conn->unsent = unsent; /* slow, but it reads */
        fio_server_wait(conn->server, conn, FIO_WAIT_WRITE);
        return;
    }
    fio_conn_abort(conn);
}

void
fio_conn_expired(FioConn *conn, fio_wait what)
{
    if (conn->wire == NULL) {
        return;
    }
    switch (what) {
    case FIO_WAIT_HEAD:
        if (conn->parser != NULL) {
            fio_conn_refuse(conn, 408, "the request head took too long");
        }
        else {
            fio_conn_close(conn);
        }
        break;
    case FIO_WAIT_IDLE:
        if (conn->wire->ops->unsent(conn->wire) > 0) {
            fio_conn_abort(conn);
        }
        else {
            fio_conn_close(conn);
        }
        break;
    case FIO_WAIT_BODY:
        body_expired(conn);
        break;
    case FIO_WAIT_WRITE:
        write_expired(conn);
        break;
    default:
        fio_conn_abort(conn);
        break;
    }
}

void
fio_conn_pause(FioConn *conn, uint8_t reason, bool pause)
{
    const uint8_t before = conn->paused;
    conn->paused = (uint8_t)(pause ? before | reason : before & ~reason);
    if (conn->wire == NULL || (before != 0) == (conn->paused != 0)) {
        return;
    }
    if (conn->paused != 0) {
        conn->wire->ops->pause_reading(conn->wire);
    }
    else {
        conn->wire->ops->resume_reading(conn->wire);
    }
}

/* -- going on in the next turn --------------------------------------------------------------------
 */

/* What was put by, and an end of input seen while a request was handled. */
static void
conn_resume(FioConn *conn)
{
    if (conn->wire != NULL && !conn->in_data && !conn->write_paused) {
        if (fio_buf_size(&conn->pending) > 0 && conn->phase < FIO_PHASE_LINGER) {
            fio_conn_read_pending(conn);
        }
        if (conn->eof && conn->request == NULL && !conn->resume.queued && !conn->resume_soon) {
            fio_conn_close(conn);
        }
        fio_conn_settle(conn);
    }
}

static void
conn_on_resume(fio_deferred *deferred)
{
    FioConn *conn = FIO_CONTAINER_OF(deferred, FioConn, resume);
    if (fio_try_ref((PyObject *)conn)) {
        conn_resume(conn);
        Py_DECREF(conn);
    }
}

PyObject *
fio_conn_py_resume(FioConn *conn, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(&conn->super);
    conn->resume_soon = false;
    conn_resume(conn);
    Py_RETURN_NONE;
}

/* loop.call_soon(conn._resume, context=...) */
static int
conn_resume_foreign(FioConn *conn)
{
    fio_state *st = conn->server->st;
    PyObject *call_soon = PyObject_GetAttr(conn->loop, st->str_call_soon);
    PyObject *resume = PyObject_GetAttr((PyObject *)conn, st->str__resume);
    PyObject *args = resume == NULL ? NULL : PyTuple_Pack(1, resume);
    PyObject *kwargs = PyDict_New();
    PyObject *handle = NULL;
    if (call_soon != NULL && args != NULL && kwargs != NULL
        && PyDict_SetItem(kwargs, st->str_context, conn->server->context) == 0) {
        handle = PyObject_Call(call_soon, args, kwargs);
    }
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
    Py_XDECREF(resume);
    Py_XDECREF(call_soon);
    Py_XDECREF(handle);
    return handle == NULL ? -1 : 0;
}

void
fio_conn_resume_soon(FioConn *conn)
{
    if (conn->resume.queued || conn->resume_soon || conn->wire == NULL) {
        return;
    }
    int result = 0;
    if (conn->server->own_loop == NULL) {
        conn->resume_soon = true;
        result = conn_resume_foreign(conn);
    }
    else {
        conn->resume.run = conn_on_resume;
        result = fio_loop_defer(conn->server->own_loop, &conn->resume);
    }
    if (result < 0) {
        PyErr_WriteUnraisable((PyObject *)conn);
        fio_conn_abort(conn);
    }
}

/* -- what the wire tells --------------------------------------------------------------------------
 */

static void
conn_on_connected(fio_link *link, fio_wire *wire, PyObject *transport)
{
    FioConn *conn = conn_of(link);
    FioServer *server = conn->server;
    if (conn->wire == wire) {
        return; /* somebody called connection_made() once more */
    }
    if (conn->wire != NULL || conn->phase != FIO_PHASE_HEAD) {
        wire->ops->abort(wire); /* a protocol serves one connection in its life */
        return;
    }
    PyObject *context = fio_server_bind(server) < 0 ? NULL : PyContext_CopyCurrent();
    if (context == NULL) {
        PyErr_WriteUnraisable((PyObject *)conn);
        wire->ops->abort(wire);
        return;
    }
    conn->wire = wire;
    conn->loop = server->loop;
    Py_XSETREF(conn->context, context);
    Py_XSETREF(conn->transport, Py_NewRef(transport));
    fio_server_join(server, conn);
    if (server->shutting_down) {
        fio_conn_close(conn);
        return;
    }
    fio_conn_settle(conn);
}

static void
conn_on_data(fio_link *link, const char *data, size_t size)
{
    FioConn *conn = conn_of(link);
    Py_INCREF(conn);
    fio_conn_read(conn, data, size);
    fio_conn_settle(conn);
    Py_DECREF(conn);
}

/* Between requests, where all that data does is to begin the next one. */
static bool
conn_reads_ahead(fio_link *link)
{
    const FioConn *conn = conn_of(link);
    return conn->phase == FIO_PHASE_HEAD && !conn->write_paused;
}

/* The peer closed its direction: what it asked for is still answered. */
static bool
conn_on_eof(fio_link *link)
{
    FioConn *conn = conn_of(link);
    conn->eof = true;
    const bool wants_gone = conn->server->handler_cancellation;
    switch (conn->phase) {
    case FIO_PHASE_HEAD:
        /* Requests put by are answered; half a head never will be a whole one. */
        return conn->resume.queued || conn->resume_soon || conn->write_paused;
    case FIO_PHASE_BODY: {
        PyObject *exc = PyObject_CallFunction(PyExc_ConnectionResetError, "s",
                                              "the client closed before the end of the body");
        if (exc == NULL) {
            PyErr_Clear();
            return false;
        }
        fio_conn_body_failed(conn, FIO_E_BAD_REQUEST, exc, NULL);
        Py_DECREF(exc);
        fio_conn_settle(conn);
        return !wants_gone;
    }
    case FIO_PHASE_HANDLING:
        return !wants_gone;
    default:
        return false;
    }
}

static void
conn_on_pause_writing(fio_link *link)
{
    FioConn *conn = conn_of(link);
    conn->write_paused = true;
    fio_conn_settle(conn);
}

/* Tells everybody who waits to write: with `exc`, that it is no use. */
static void
conn_wake_writers(FioConn *conn, PyObject *exc)
{
    PyObject *waiters = conn->drain_waiters;
    conn->drain_waiters = NULL;
    if (waiters == NULL) {
        return;
    }
    fio_state *st = conn->server->st;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(waiters); i++) {
        PyObject *future = PyList_GET_ITEM(waiters, i);
        int told = exc == NULL ? fio_future_set_result(st, future, Py_None)
                               : fio_future_set_exception(st, future, exc);
        if (told < 0) {
            PyErr_WriteUnraisable(future);
        }
    }
    Py_DECREF(waiters);
}

static void
conn_on_resume_writing(fio_link *link)
{
    FioConn *conn = conn_of(link);
    conn->write_paused = false;
    conn_wake_writers(conn, NULL);
    if (conn->phase == FIO_PHASE_HEAD && (fio_buf_size(&conn->pending) > 0 || conn->eof)) {
        fio_conn_resume_soon(conn);
    }
    fio_conn_settle(conn);
}

void
fio_conn_cancel_handler(FioConn *conn)
{
    if (conn->task == NULL) {
        return;
    }
    PyObject *task = Py_NewRef(conn->task);
    PyObject *done = PyObject_CallMethodNoArgs(task, conn->server->st->str_cancel);
    if (done == NULL) {
        PyErr_WriteUnraisable(task);
    }
    Py_XDECREF(done);
    Py_DECREF(task);
}

/* The handler, if one waits, runs on; whatever it writes goes nowhere. */
static void
conn_on_lost(fio_link *link, PyObject *exc)
{
    FioConn *conn = conn_of(link);
    (void)exc; /* how it ended makes no difference to a server */
    Py_INCREF(conn);
    conn->wire = NULL;
    conn->phase = FIO_PHASE_CLOSED;
    if (conn->resume.queued) {
        fio_loop_undefer(conn->server->own_loop, &conn->resume);
    }
    fio_conn_drop_parser(conn);
    fio_buf_free(&conn->pending);
    PyObject *gone = PyObject_CallFunction(PyExc_ConnectionResetError, "s",
                                           "the client closed the connection");
    if (gone == NULL) {
        PyErr_Clear();
    }
    else {
        conn_wake_writers(conn, gone);
        if (conn->request != NULL && conn->request->body != NULL
            && !fio_body_at_eof(conn->request->body)
            && fio_body_fail(conn->request->body, gone) < 0) {
            PyErr_WriteUnraisable((PyObject *)conn);
        }
        Py_DECREF(gone);
    }
    if (conn->server->handler_cancellation) {
        fio_conn_cancel_handler(conn);
    }
    if (conn->request != NULL) {
        conn->server->access.by_class[0]++;
    }
    fio_conn_drop_request(conn);
    Py_CLEAR(conn->transport);
    fio_server_leave(conn->server, conn);
    Py_DECREF(conn);
}

const fio_link_ops fio_conn_link_ops = {
    .connected = conn_on_connected,
    .reads_ahead = conn_reads_ahead,
    .data = conn_on_data,
    .eof = conn_on_eof,
    .pause_writing = conn_on_pause_writing,
    .resume_writing = conn_on_resume_writing,
    .lost = conn_on_lost,
};
