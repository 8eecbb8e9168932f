/* The other half of a connection: where answers go, what comes after one, and how it ends. */

#include "base/aio.h"
#include "server/conn_parts.h"

/* -- output ---------------------------------------------------------------------------------------
 */

fio_buf *
fio_conn_output(FioConn *conn)
{
    if (conn->wire == NULL || conn->wire->closing) {
        return NULL;
    }
    return &conn->wire->out;
}

void
fio_conn_written(FioConn *conn)
{
    conn->answer_started = true;
    if (conn->wire != NULL) {
        conn->wire->ops->commit(conn->wire);
    }
}

int
fio_conn_send(FioConn *conn, const char *data, size_t size, PyObject *owner)
{
    if (conn->wire == NULL || conn->wire->closing) {
        PyErr_SetString(PyExc_ConnectionResetError, "the connection is closed");
        return -1;
    }
    conn->answer_started = true;
    return conn->wire->ops->send(conn->wire, data, size, owner);
}

int
fio_conn_send_file(FioConn *conn, int fd, int64_t offset, size_t size)
{
    if (conn->wire == NULL || conn->wire->closing) {
        PyErr_SetString(PyExc_ConnectionResetError, "the connection is closed");
        return -1;
    }
    if (conn->wire->ops->send_file == NULL) {
        return 1;
    }
    return conn->wire->ops->send_file(conn->wire, fd, offset, size);
}

bool
fio_conn_must_drain(const FioConn *conn)
{
    return conn->write_paused || conn->wire == NULL;
}

PyObject *
fio_conn_drained(FioConn *conn)
{
    fio_state *st = conn->server->st;
    if (conn->wire == NULL) {
        PyErr_SetString(PyExc_ConnectionResetError, "the connection is closed");
        return NULL;
    }
    if (!conn->write_paused) {
        return fio_ready_new(st, Py_None);
    }
    PyObject *future = fio_future_new(st, conn->loop);
    if (future == NULL) {
        return NULL;
    }
    if (!fio_conn_must_drain(conn) || conn->wire == NULL) {
        /* It took Python code to make it: nobody would wake it any more. */
        Py_DECREF(future);
        return fio_conn_drained(conn);
    }
    if ((conn->drain_waiters == NULL && (conn->drain_waiters = PyList_New(0)) == NULL)
        || PyList_Append(conn->drain_waiters, future) < 0) {
        Py_CLEAR(future);
    }
    return future;
}

fio_view
fio_conn_common_fields(FioConn *conn)
{
    return fio_server_common(conn->server);
}

/* -- after an answer ------------------------------------------------------------------------------
 */

void
fio_conn_drop_parser(FioConn *conn)
{
    if (conn->parser != NULL) {
        fio_server_parser_give(conn->server, conn->parser);
        conn->parser = NULL;
    }
    if (conn->head != NULL) {
        fio_head_free(conn->server->st, conn->head);
        conn->head = NULL;
    }
}

void
fio_conn_drop_request(FioConn *conn)
{
    FioRequest *request = conn->request;
    conn->request = NULL;
    Py_CLEAR(conn->task);
    if (request == NULL) {
        return;
    }
    if (request->body != NULL) {
        fio_body_detach(request->body);
        if (!fio_body_at_eof(request->body)) {
            PyObject *exc = PyObject_CallFunction(PyExc_ConnectionResetError, "s",
                                                  "the request is over");
            if (exc == NULL || fio_body_fail(request->body, exc) < 0) {
                PyErr_WriteUnraisable((PyObject *)request);
            }
            Py_XDECREF(exc);
        }
    }
    fio_request_drop_conn(request);
    Py_DECREF(request);
}

void
fio_conn_answered(FioConn *conn, PyObject *response, int status)
{
    FioRequest *request = (FioRequest *)Py_NewRef((PyObject *)conn->request);
    conn->served++;
    int logged = fio_access_count(&conn->server->access, request, response, status, conn->began);
    if (logged < 0) {
        PyErr_WriteUnraisable(conn->server->access.log);
    }
    if (conn->request == request) {
        fio_conn_drop_request(conn);
    }
    Py_DECREF(request);
    conn->answer_started = false;
    if (conn->wire == NULL || conn->phase >= FIO_PHASE_LINGER) {
        return;
    }
    fio_conn_pause(conn, FIO_PAUSE_BODY, false);
    if (!conn->keep_alive || conn->server->shutting_down) {
        if (conn->parser != NULL || conn->body_unread || fio_buf_size(&conn->pending) > 0) {
            fio_conn_linger(conn);
        }
        else {
            fio_conn_close(conn);
        }
        return;
    }
    conn->drained = 0;
    conn->phase = conn->parser != NULL ? FIO_PHASE_DRAIN : FIO_PHASE_HEAD;
    if (!conn->in_data) {
        /* The answer came by a task: what was sent ahead is no business of its context. */
        if (fio_buf_size(&conn->pending) > 0 || conn->eof) {
            fio_conn_resume_soon(conn);
        }
        fio_conn_settle(conn);
    }
}

void
fio_conn_answer_plain(FioConn *conn, int status, const char *text)
{
    if (conn->wire == NULL || conn->wire->closing) {
        return;
    }
    static const fio_view content_type = {"text/plain; charset=utf-8", 25};
    char reason[64];
    if (text == NULL) {
        (void)PyOS_snprintf(reason, sizeof(reason), "%d %s", status, fio_status_reason(status));
        text = reason;
    }
    const fio_simple_head head = {
        .minor = 1,
        .status = status,
        .content_type = &content_type,
        .length = (int64_t)strlen(text),
        .common = fio_server_common(conn->server),
        .connection = conn->keep_alive ? NULL : "close",
    };
    const bool has_body = conn->request == NULL || conn->request->head->method != FIO_METHOD_HEAD;
    if (fio_write_simple_head(&conn->wire->out, &head) != FIO_OK
        || (has_body && fio_buf_append(&conn->wire->out, text, strlen(text)) < 0)) {
        PyErr_Clear();
        fio_conn_abort(conn);
        return;
    }
    conn->wire->ops->commit(conn->wire);
    if (conn->request != NULL) {
        fio_conn_answered(conn, NULL, status);
    }
}

void
fio_conn_fail(FioConn *conn)
{
    if (conn->request != NULL) {
        conn->server->access.by_class[0]++;
    }
    fio_conn_drop_request(conn);
    if (conn->wire != NULL && !conn->wire->closing) {
        conn->wire->ops->flush(conn->wire); /* the answers before it are the client's */
    }
    fio_conn_abort(conn);
}

/* -- ends -----------------------------------------------------------------------------------------
 */

void
fio_conn_refuse(FioConn *conn, int status, const char *reason)
{
    char text[256];
    (void)PyOS_snprintf(text, sizeof(text), "%d %s: %s", status, fio_status_reason(status),
                        reason == NULL ? "malformed request" : reason);
    fio_server_log_refused(conn->server, conn, status, reason == NULL ? "" : reason);
    if (conn->wire == NULL || conn->phase >= FIO_PHASE_LINGER) {
        return;
    }
    /* Whether the client may have a body is known only of a head that was read. */
    const bool is_head = conn->head != NULL && conn->head->method == FIO_METHOD_HEAD;
    conn->server->access.by_class[status / 100]++;
    conn->keep_alive = false;
    fio_conn_drop_request(conn);
    fio_conn_drop_parser(conn);
    fio_conn_answer_plain(conn, status, is_head ? "" : text);
    fio_conn_linger(conn);
}

void
fio_conn_close(FioConn *conn)
{
    if (conn->wire == NULL || conn->phase == FIO_PHASE_CLOSED) {
        return;
    }
    conn->phase = FIO_PHASE_CLOSED;
    fio_conn_drop_parser(conn);
    fio_buf_free(&conn->pending);
    fio_wire *wire = conn->wire;
    conn->unsent = wire->ops->unsent(wire);
    fio_server_wait(conn->server, conn, conn->unsent > 0 ? FIO_WAIT_WRITE : FIO_WAIT_NONE);
    wire->ops->close(wire);
}

/* Ends our direction after all output, where the transport can. */
static void
conn_write_eof(FioConn *conn)
{
    fio_state *st = conn->server->st;
    int is_able = fio_aio_asks(conn->transport, st->str_can_write_eof);
    PyObject *done = NULL;
    if (is_able > 0 && conn->transport != NULL) {
        done = PyObject_CallMethodNoArgs(conn->transport, st->str_write_eof);
    }
    if (done == NULL && PyErr_Occurred()) {
        PyErr_Clear(); /* the peer was quicker: the wait for its end is short */
    }
    Py_XDECREF(done);
}

void
fio_conn_linger(FioConn *conn)
{
    if (conn->wire == NULL || conn->phase >= FIO_PHASE_LINGER) {
        return;
    }
    if (conn->eof) {
        fio_conn_close(conn);
        return;
    }
    conn->phase = FIO_PHASE_LINGER;
    fio_conn_drop_parser(conn);
    fio_buf_free(&conn->pending);
    conn->wire->ops->flush(conn->wire);
    if (conn->wire == NULL || conn->wire->closing) {
        return;
    }
    conn_write_eof(conn);
    if (conn->wire == NULL) {
        return;
    }
    conn->paused |= FIO_PAUSE_PIPELINE;
    fio_conn_pause(conn, FIO_PAUSE_PIPELINE | FIO_PAUSE_BODY, false);
    fio_conn_settle(conn);
}

void
fio_conn_abort(FioConn *conn)
{
    fio_wire *wire = conn->wire;
    if (wire == NULL) {
        return;
    }
    conn->phase = FIO_PHASE_CLOSED;
    fio_server_wait(conn->server, conn, FIO_WAIT_NONE);
    fio_conn_drop_parser(conn);
    fio_buf_free(&conn->pending);
    wire->ops->abort(wire);
}

void
fio_conn_shut(FioConn *conn)
{
    conn->keep_alive = false;
    if (conn->phase == FIO_PHASE_HEAD) {
        fio_conn_close(conn);
    }
    else if (conn->phase == FIO_PHASE_DRAIN) {
        fio_conn_linger(conn);
    }
}
