/* From bytes to requests. Heads are parsed where the wire put them; bytes are copied only when a
 * head is split, when a request comes while another is being handled, or into a body that is being
 * read while it comes. */

#include "server/conn_parts.h"
#include "server/dispatch.h"

/* -- bodies ---------------------------------------------------------------------------------------
 */

static void
body_on_flow(void *source, bool pause)
{
    FioConn *conn = source;
    fio_conn_pause(conn, FIO_PAUSE_BODY, pause);
    fio_conn_settle(conn);
}

static void
body_on_wanted(void *source)
{
    FioConn *conn = source;
    if (!conn->continue_owed || conn->wire == NULL || conn->wire->closing || conn->answer_started) {
        return;
    }
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    conn->continue_owed = false;
    if (fio_buf_append(&conn->wire->out, text, sizeof(text) - 1) < 0) {
        PyErr_Clear(); /* no memory: the client sends its body after a while anyway */
        return;
    }
    conn->wire->ops->commit(conn->wire);
}

const fio_body_ops fio_conn_body_ops = {.flow = body_on_flow, .wanted = body_on_wanted};

void
fio_conn_body_failed(FioConn *conn, int status, PyObject *exc, const char *reason)
{
    conn->refusal = status;
    conn->keep_alive = false;
    conn->body_unread = true;
    conn->phase = FIO_PHASE_HANDLING;
    fio_conn_drop_parser(conn);
    FioBody *body = conn->request == NULL ? NULL : conn->request->body;
    if (body == NULL) {
        return;
    }
    PyObject *error = exc != NULL ? Py_NewRef(exc)
                                  : PyObject_CallFunction(PyExc_ValueError, "s", reason);
    if (error == NULL || fio_body_fail(body, error) < 0) {
        PyErr_WriteUnraisable((PyObject *)conn);
    }
    Py_XDECREF(error);
}

/* A piece of the body came. False: the connection cannot go on. */
static bool
conn_body_piece(FioConn *conn, fio_view piece)
{
    conn->continue_owed = false;
    if (conn->phase == FIO_PHASE_DRAIN) {
        conn->drained += piece.size;
        if (conn->drained > FIO_DRAIN_BYTES) {
            fio_conn_linger(conn);
            return false;
        }
        return true;
    }
    FioRequest *request = conn->request;
    if (fio_body_feed(request->body, piece.base, piece.size) < 0
        || (request->head->chunked && conn->parser->chunk_end
            && fio_body_end_chunk(request->body) < 0)) {
        PyObject *exc = PyErr_GetRaisedException();
        fio_conn_body_failed(conn, FIO_E_BAD_REQUEST, exc, NULL);
        Py_DECREF(exc);
        return false;
    }
    return conn->parser != NULL; /* whoever was woken may have closed the connection */
}

static void
conn_body_done(FioConn *conn)
{
    fio_conn_drop_parser(conn);
    if (conn->phase == FIO_PHASE_DRAIN) {
        conn->phase = FIO_PHASE_HEAD;
        return;
    }
    conn->phase = FIO_PHASE_HANDLING;
    conn->continue_owed = false;
    if (fio_body_feed_eof(conn->request->body) < 0) {
        PyErr_WriteUnraisable((PyObject *)conn);
    }
}

/* Reads on in a body that comes in pieces; returns how many of the bytes were its own. */
static size_t
conn_read_body(FioConn *conn, const char *data, size_t size)
{
    size_t at = 0;
    for (;;) {
        size_t used = 0;
        fio_view piece = {NULL, 0};
        int status = fio_parser_body(conn->parser, data + at, size - at, &used, &piece);
        at += used;
        if (status == FIO_PARSER_DATA) {
            if (!conn_body_piece(conn, piece)) {
                return at;
            }
        }
        else if (status == FIO_PARSER_DONE) {
            conn_body_done(conn);
            return at;
        }
        else if (status == FIO_PARSER_MORE) {
            return at;
        }
        else {
            const char *reason = conn->parser->error;
            fio_server_log_refused(conn->server, conn, -status, reason);
            if (conn->phase == FIO_PHASE_DRAIN) {
                fio_conn_linger(conn);
            }
            else {
                fio_conn_body_failed(conn, status, NULL, reason);
            }
            return at;
        }
    }
}

/* What of a request's body came together with its head. */
typedef struct {
    fio_view first; /* the first piece, where it lies */
    fio_buf joined; /* all pieces, when there are several */
    fio_buf ends;   /* offsets (size_t) at which a chunk ends */
    size_t size;    /* bytes of all pieces */
    bool complete;
} early_body;

static int
early_body_add(early_body *body, fio_view piece, bool chunk_end)
{
    body->size += piece.size;
    if (chunk_end
        && fio_buf_append(&body->ends, (const char *)&body->size, sizeof(body->size)) < 0) {
        return -1;
    }
    if (body->first.base == NULL) {
        body->first = piece;
        return 0;
    }
    if (fio_buf_size(&body->joined) == 0
        && fio_buf_append(&body->joined, body->first.base, body->first.size) < 0) {
        return -1;
    }
    return fio_buf_append(&body->joined, piece.base, piece.size);
}

/* FIO_OK, FIO_E*, or 1: no memory, exception set. */
static int
early_body_read(FioConn *conn, fio_view rest, early_body *body, size_t *used)
{
    for (;;) {
        size_t step = 0;
        fio_view piece = {NULL, 0};
        int status = fio_parser_body(conn->parser, rest.base + *used, rest.size - *used, &step,
                                     &piece);
        *used += step;
        if (status == FIO_PARSER_DATA) {
            const bool chunk_end = conn->request->head->chunked && conn->parser->chunk_end;
            if (early_body_add(body, piece, chunk_end) < 0) {
                return 1;
            }
            continue;
        }
        if (status == FIO_PARSER_DONE) {
            body->complete = true;
        }
        return status < 0 ? status : FIO_OK;
    }
}

/* Gives the request its body: as a whole, or the beginning of it. -1: exception set. */
static int
request_set_body(FioConn *conn, early_body *body)
{
    FioRequest *request = conn->request;
    fio_view all = body->first;
    if (fio_buf_size(&body->joined) > 0) {
        all = (fio_view){fio_buf_data(&body->joined), fio_buf_size(&body->joined)};
    }
    request->has_body = true;
    if (!body->complete) {
        request->body = fio_body_new(conn->server->st, conn->loop, &fio_conn_body_ops, conn);
        if (request->body == NULL) {
            return -1;
        }
        return fio_body_feed_chunks(request->body, all, &body->ends);
    }
    request->whole = all;
    request->whole_ends = body->ends;
    body->ends = (fio_buf){0};
    if (fio_buf_size(&body->joined) > 0) {
        request->whole_owner = PyBytes_FromStringAndSize(all.base, (Py_ssize_t)all.size);
        if (request->whole_owner == NULL) {
            return -1;
        }
        request->whole.base = PyBytes_AS_STRING(request->whole_owner);
    }
    return 0;
}

/* Takes what of the body is in `rest`. False: the request was refused. */
static bool
conn_take_body(FioConn *conn, fio_view rest, size_t *used)
{
    early_body body = {0};
    int status = early_body_read(conn, rest, &body, used);
    if (status == FIO_OK && request_set_body(conn, &body) < 0) {
        status = 1;
    }
    fio_buf_free(&body.joined);
    fio_buf_free(&body.ends);
    if (status > 0) {
        PyErr_Clear();
        fio_conn_refuse(conn, 503, "out of memory");
        return false;
    }
    if (status < 0) {
        fio_conn_refuse(conn, -status, conn->parser->error);
        return false;
    }
    if (conn->phase != FIO_PHASE_HANDLING) {
        fio_conn_drop_request(conn); /* closed meanwhile, as in conn_make_request() */
        return false;
    }
    if (body.complete) {
        fio_conn_drop_parser(conn);
    }
    else {
        conn->phase = FIO_PHASE_BODY;
        conn->continue_owed = conn->request->head->expect_continue && body.first.base == NULL;
    }
    return true;
}

/* -- heads ----------------------------------------------------------------------------------------
 */

/* RFC 9110 10.1.1: an expectation that is none we know. */
static bool
has_unknown_expectation(const fio_head *head)
{
    return head->minor > 0 && !head->expect_continue
           && fio_head_find(head, FIO_FIELD_EXPECT) != NULL;
}

static bool
conn_begin_head(FioConn *conn)
{
    FioServer *server = conn->server;
    conn->parser = fio_server_parser_take(server);
    conn->head = conn->parser == NULL ? NULL : fio_head_new(server->st);
    if (conn->head == NULL) {
        PyErr_Clear();
        fio_conn_refuse(conn, 503, "out of memory");
        return false;
    }
    fio_parser_start(conn->parser, &server->limits, conn->head);
    return true;
}

/* The head is complete: makes the request of it. False: no memory. */
static bool
conn_make_request(FioConn *conn, const char *base)
{
    FioServer *server = conn->server;
    fio_head *head = conn->head;
    conn->head = NULL;
    conn->keep_alive = head->keep_alive && !server->shutting_down;
    FioRequest *request = fio_request_new(server->st, server->request_type, conn, head, base);
    if (request == NULL) {
        PyErr_Clear();
        fio_conn_refuse(conn, 503, "out of memory");
        return false;
    }
    if (conn->phase != FIO_PHASE_HEAD) {
        /* Memory was collected for it, and a finaliser closed the connection. */
        fio_request_drop_conn(request);
        Py_DECREF(request);
        return false;
    }
    request->max_size = server->client_max_size;
    conn->request = request;
    conn->phase = FIO_PHASE_HANDLING;
    conn->answer_started = false;
    conn->answer_ended = false;
    conn->continue_owed = false;
    conn->body_unread = false;
    conn->refusal = 0;
    conn->began = FIO_UNLIKELY(server->access.enabled) ? fio_loop_now() : 0;
    return true;
}

/* Reads on in a head, and when it is complete has the request handled. Returns how many bytes it
 * took: none while more are needed. */
static size_t
conn_read_request(FioConn *conn, const char *data, size_t size)
{
    if (conn->parser == NULL && !conn_begin_head(conn)) {
        return size;
    }
    int status = fio_parser_head(conn->parser, data, size);
    if (status == FIO_PARSER_MORE) {
        return 0;
    }
    if (status < 0) {
        fio_conn_refuse(conn, -status, conn->parser->error);
        return size;
    }
    size_t used = conn->head->size;
    if (has_unknown_expectation(conn->head)) {
        fio_conn_refuse(conn, 417, "unknown expectation");
        return size;
    }
    if (!conn_make_request(conn, data)) {
        return size;
    }
    if (FIO_LIKELY(fio_parser_is_bodyless(conn->parser))) {
        fio_conn_drop_parser(conn);
    }
    else {
        size_t taken = 0;
        if (!conn_take_body(conn, (fio_view){data + used, size - used}, &taken)) {
            return size;
        }
        used += taken;
    }
    conn->dispatching = true;
    fio_dispatch(conn);
    conn->dispatching = false;
    return used;
}

/* -- the reading loop -----------------------------------------------------------------------------
 */

/* Works on the bytes as far as it can now; returns how many it used. */
static size_t
conn_consume(FioConn *conn, const char *data, size_t size)
{
    size_t at = 0;
    uint32_t requests = 0;
    while (at < size) {
        if (conn->phase == FIO_PHASE_HEAD) {
            if (conn->write_paused) {
                return at; /* goes on when the peer has taken answers */
            }
            if (requests == conn->server->max_pipelined) {
                fio_conn_resume_soon(conn);
                return at;
            }
            size_t used = conn_read_request(conn, data + at, size - at);
            if (used == 0) {
                return at;
            }
            requests++;
            at += used;
        }
        else if (conn->phase == FIO_PHASE_BODY || conn->phase == FIO_PHASE_DRAIN) {
            at += conn_read_body(conn, data + at, size - at);
        }
        else if (conn->phase == FIO_PHASE_HANDLING && conn->keep_alive) {
            return at; /* sent ahead: waits for the answer before it */
        }
        else if (conn->heir != NULL) {
            return at;
        }
        else {
            return size; /* nothing is answered any more */
        }
    }
    return at;
}

/* Keeps bytes for later; too many of them stop the peer. */
static void
conn_put_by(FioConn *conn, const char *data, size_t size)
{
    if (conn->phase >= FIO_PHASE_LINGER || conn->wire == NULL
        || (conn->phase == FIO_PHASE_HANDLING && !conn->keep_alive)) {
        return;
    }
    if (fio_buf_append(&conn->pending, data, size) < 0) {
        PyErr_Clear();
        fio_conn_abort(conn);
        return;
    }
    if (conn->phase == FIO_PHASE_HANDLING || conn->write_paused) {
        fio_conn_pause(conn, FIO_PAUSE_PIPELINE,
                       fio_buf_size(&conn->pending) > conn->server->limits.head);
    }
}

void
fio_conn_give_rest(FioConn *conn, fio_view rest)
{
    fio_buf bytes = conn->pending;
    conn->pending = (fio_buf){0};
    PyObject *done = Py_NewRef(Py_None);
    if (fio_buf_append(&bytes, rest.base, rest.size) < 0) {
        Py_CLEAR(done);
    }
    else if (fio_buf_size(&bytes) > 0) {
        Py_SETREF(done, PyObject_CallMethod(conn->heir, "data_received", "y#", fio_buf_data(&bytes),
                                            (Py_ssize_t)fio_buf_size(&bytes)));
    }
    if (done == NULL) {
        PyErr_WriteUnraisable(conn->heir);
    }
    Py_XDECREF(done);
    fio_buf_free(&bytes);
}

/* Bytes that came while others were worked on (a handler called data_received() itself) go behind
 * what is left of those. */
static void
conn_put_behind(FioConn *conn, fio_view rest)
{
    fio_buf later = conn->pending;
    conn->pending = (fio_buf){0};
    conn_put_by(conn, rest.base, rest.size);
    conn_put_by(conn, fio_buf_data(&later), fio_buf_size(&later));
    fio_buf_free(&later);
    fio_conn_resume_soon(conn);
}

void
fio_conn_read_pending(FioConn *conn)
{
    /* Taken out of the connection, so that nobody moves the bytes that are being looked at. */
    fio_buf input = conn->pending;
    conn->pending = (fio_buf){0};
    conn->in_data = true;
    size_t used = conn_consume(conn, fio_buf_data(&input), fio_buf_size(&input));
    conn->in_data = false;
    fio_buf_take(&input, used);
    const fio_view rest = {fio_buf_data(&input), fio_buf_size(&input)};
    if (conn->heir != NULL) {
        fio_conn_give_rest(conn, rest);
    }
    else if (fio_buf_size(&conn->pending) > 0) {
        conn_put_behind(conn, rest);
    }
    else if (rest.size > 0 && conn->phase < FIO_PHASE_LINGER && conn->wire != NULL) {
        conn->pending = input;
        input = (fio_buf){0};
    }
    fio_buf_free(&input);
    if (fio_buf_size(&conn->pending) <= conn->server->limits.head) {
        fio_conn_pause(conn, FIO_PAUSE_PIPELINE, false);
    }
}

void
fio_conn_read(FioConn *conn, const char *data, size_t size)
{
    if (conn->in_data) {
        /* A handler that runs the loop inside its first step may be waiting for its body. */
        bool awaited = conn->dispatching && conn->phase == FIO_PHASE_BODY
                       && fio_buf_size(&conn->pending) == 0;
        size_t used = awaited ? conn_consume(conn, data, size) : 0;
        conn_put_by(conn, data + used, size - used);
        return;
    }
    if (fio_buf_size(&conn->pending) > 0) {
        conn_put_by(conn, data, size);
        if (conn->phase == FIO_PHASE_HEAD && !conn->write_paused && !conn->resume.queued
            && !conn->resume_soon) {
            fio_conn_read_pending(conn);
        }
        return;
    }
    conn->in_data = true;
    size_t used = conn_consume(conn, data, size);
    conn->in_data = false;
    const fio_view rest = {data + used, size - used};
    if (FIO_UNLIKELY(conn->heir != NULL)) {
        fio_conn_give_rest(conn, rest);
    }
    else if (FIO_UNLIKELY(fio_buf_size(&conn->pending) > 0)) {
        conn_put_behind(conn, rest);
    }
    else if (rest.size > 0) {
        conn_put_by(conn, rest.base, rest.size);
    }
}
