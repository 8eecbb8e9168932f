/* What runs in a server while it serves: deadlines, the set of connections, the lines that every
 * answer has, parsers used again, and the log of what goes wrong. The Python type is in
 * py_server.c. */

#include "server/server.h"

#include "base/aio.h"
#include "base/num.h"
#include "server/conn.h"

#include <time.h>

#define SECOND ((int64_t)1000000000)
/* Deadlines are looked at that much apart at least: they are time-outs, not appointments. */
#define SWEEP_INTERVAL (SECOND / 20)
/* One line about refused requests in that time: a flood of them must not become a flood of log. */
#define COMPLAINT_INTERVAL SECOND

/* CLOCK_MONOTONIC_COARSE in nanoseconds: a few milliseconds behind, and free. */
static int64_t
server_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* cannot fail for a known clock */
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

/* -- the loop -------------------------------------------------------------------------------------
 */

static int
server_ask_task_factory(FioServer *server)
{
    PyObject *factory = PyObject_CallMethodNoArgs(server->loop, server->st->str_get_task_factory);
    if (factory == NULL) {
        return -1;
    }
    server->has_task_factory = factory != Py_None;
    Py_DECREF(factory);
    return 0;
}

int
fio_server_bind(FioServer *server)
{
    fio_state *st = server->st;
    PyObject *running = PyObject_CallNoArgs(st->aio_get_running_loop);
    if (running == NULL) {
        return -1;
    }
    FIO_HOLD(server); /* two loops may both come first */
    if (server->loop == NULL) {
        server->loop = Py_NewRef(running);
        server->own_loop = PyObject_TypeCheck(running, st->LoopType) ? (FioLoop *)running : NULL;
        FIO_SET_MONITOR(server, running);
        Py_XSETREF(server->context, PyContext_CopyCurrent());
    }
    Py_DECREF(running);
    if (server->context == NULL) {
        return -1;
    }
    if (running != server->loop) {
        PyErr_SetString(PyExc_RuntimeError, "a server belongs to one event loop");
        return -1;
    }
    return server->own_loop == NULL ? server_ask_task_factory(server) : 0;
}

/* -- deadlines ------------------------------------------------------------------------------------
 */

static void server_arm(FioServer *server, int64_t when);

/* The first deadline of all; 0: none. */
static int64_t
server_first_deadline(const FioServer *server)
{
    int64_t first = 0;
    for (int what = 0; what < FIO_WAITS; what++) {
        const fio_node *list = &server->waits[what];
        if (!fio_list_is_empty(list)) {
            int64_t deadline = FIO_CONTAINER_OF(list->next, FioConn, waiting)->deadline;
            first = first == 0 || deadline < first ? deadline : first;
        }
    }
    return first;
}

/* Ends all waits that are over. */
static void
server_sweep(FioServer *server)
{
    server->timer_when = 0;
    const int64_t now = server_now();
    for (int what = 0; what < FIO_WAITS; what++) {
        fio_node *list = &server->waits[what];
        while (!fio_list_is_empty(list)) {
            FioConn *conn = FIO_CONTAINER_OF(list->next, FioConn, waiting);
            if (conn->deadline > now) {
                break;
            }
            fio_list_remove(&conn->waiting);
            conn->wait = FIO_WAIT_NONE;
            if (!fio_try_ref((PyObject *)conn)) {
                continue;
            }
            fio_conn_expired(conn, (fio_wait)what);
            Py_DECREF(conn);
        }
    }
    int64_t first = server_first_deadline(server);
    if (first != 0) {
        server_arm(server, first > now + SWEEP_INTERVAL ? first : now + SWEEP_INTERVAL);
    }
}

static void
server_on_timer(fio_timer *timer)
{
    FioServer *server = FIO_CONTAINER_OF(timer, FioServer, timer);
    if (!fio_try_ref((PyObject *)server)) { /* the last connection may go in the sweep */
        return;
    }
    server_sweep(server);
    Py_DECREF(server);
}

PyObject *
fio_server_tick(FioServer *server, PyObject *Py_UNUSED(ignored))
{
    FIO_HOLD_MONITOR(server);
    Py_CLEAR(server->timer_handle);
    server_sweep(server);
    Py_RETURN_NONE;
}

static int
server_arm_foreign(FioServer *server, int64_t delay)
{
    fio_state *st = server->st;
    PyObject *tick = PyObject_GetAttr((PyObject *)server, st->str__tick);
    if (tick == NULL) {
        return -1;
    }
    PyObject *handle = PyObject_CallMethod(server->loop, "call_later", "dO", (double)delay * 1e-9,
                                           tick);
    Py_DECREF(tick);
    Py_XSETREF(server->timer_handle, handle);
    return handle == NULL ? -1 : 0;
}

/* Sets the timer to `when`, unless it will fire before that anyway. */
static void
server_arm(FioServer *server, int64_t when)
{
    if (server->timer_when != 0 && server->timer_when <= when) {
        return;
    }
    int result = 0;
    if (server->own_loop == NULL) {
        if (server->timer_handle != NULL) {
            PyObject *none = PyObject_CallMethodNoArgs(server->timer_handle,
                                                       server->st->str_cancel);
            Py_XDECREF(none);
            result = none == NULL ? -1 : 0;
        }
        if (result == 0) {
            result = server_arm_foreign(server, when - server_now());
        }
    }
    else {
        server->timer.fire = server_on_timer;
        result = fio_timer_start(server->own_loop, &server->timer, when);
    }
    server->timer_when = result < 0 ? 0 : when;
    if (result < 0) {
        PyErr_WriteUnraisable((PyObject *)server);
    }
}

static void
server_disarm(FioServer *server)
{
    server->timer_when = 0;
    if (server->timer_handle != NULL) {
        PyObject *handle = server->timer_handle;
        server->timer_handle = NULL;
        PyObject *none = PyObject_CallMethodNoArgs(handle, server->st->str_cancel);
        Py_DECREF(handle);
        if (none == NULL) {
            PyErr_WriteUnraisable((PyObject *)server);
        }
        Py_XDECREF(none);
    }
    if (server->timer.place != 0) {
        fio_timer_stop(server->own_loop, &server->timer);
    }
}

void
fio_server_wait(FioServer *server, FioConn *conn, fio_wait what)
{
    fio_list_remove(&conn->waiting);
    conn->wait = (uint8_t)what;
    if (what == FIO_WAIT_NONE || server->timeouts[what] == 0) {
        return;
    }
    conn->deadline = server_now() + server->timeouts[what];
    fio_list_append(&server->waits[what], &conn->waiting);
    if (FIO_UNLIKELY(server->timer_when == 0 || conn->deadline < server->timer_when)) {
        server_arm(server, conn->deadline);
    }
}

/* -- connections ----------------------------------------------------------------------------------
 */

void
fio_server_join(FioServer *server, FioConn *conn)
{
    fio_list_append(&server->connections, &conn->member);
    server->connection_count++;
    server->access.connections++;
    fio_access_renew(&server->access);
}

bool
fio_server_unlink(FioServer *server, FioConn *conn)
{
    if (fio_list_is_empty(&conn->member)) {
        return false;
    }
    fio_list_remove(&conn->member);
    fio_list_remove(&conn->waiting);
    return --server->connection_count == 0;
}

void
fio_server_leave(FioServer *server, FioConn *conn)
{
    if (!fio_server_unlink(server, conn)) {
        return;
    }
    server_disarm(server);
    PyObject *waiter = server->empty_waiter;
    server->empty_waiter = NULL;
    if (waiter != NULL && fio_future_set_result(server->st, waiter, Py_None) < 0) {
        PyErr_WriteUnraisable(waiter);
    }
    Py_XDECREF(waiter);
}

fio_parser *
fio_server_parser_take(FioServer *server)
{
    if (server->parser_count > 0) {
        return server->parsers[--server->parser_count];
    }
    fio_parser *parser = PyMem_Malloc(sizeof(*parser));
    if (parser == NULL) {
        PyErr_NoMemory();
    }
    return parser;
}

void
fio_server_parser_give(FioServer *server, fio_parser *parser)
{
    if (server->parser_count < FIO_PARSERS_KEPT) {
        server->parsers[server->parser_count++] = parser;
    }
    else {
        PyMem_Free(parser);
    }
}

/* -- the common fields ----------------------------------------------------------------------------
 */

static void
server_renew_common(FioServer *server, int64_t second)
{
    static const char name[] = "Date: ";
    char *at = server->common;
    memcpy(at, name, sizeof(name) - 1);
    at += sizeof(name) - 1;
    fio_http_date(at, second);
    at += FIO_HTTP_DATE_SIZE;
    *at++ = '\r';
    *at++ = '\n';
    size_t size = strlen(server->server_line);
    memcpy(at, server->server_line, size);
    server->common_size = (size_t)(at - server->common) + size;
    server->common_second = second;
    fio_access_renew(&server->access);
}

fio_view
fio_server_common(FioServer *server)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now); /* cannot fail for a known clock */
    if (FIO_UNLIKELY(now.tv_sec != server->common_second)) {
        server_renew_common(server, now.tv_sec);
    }
    return (fio_view){server->common, server->common_size};
}

/* -- the log --------------------------------------------------------------------------------------
 */

/* The logger, borrowed; NULL: exception set. */
static PyObject *
server_logger(FioServer *server)
{
    if (server->logger == NULL) {
        PyObject *logging = PyImport_ImportModule("logging");
        if (logging == NULL) {
            return NULL;
        }
        server->logger = PyObject_CallMethod(logging, "getLogger", "s", "fastaio.server");
        Py_DECREF(logging);
    }
    return server->logger;
}

void
fio_server_log_exception(FioServer *server, const char *message, PyObject *exc)
{
    PyObject *logger = server_logger(server);
    PyObject *args = Py_BuildValue("(s)", message);
    PyObject *kwargs = Py_BuildValue("{s:O}", "exc_info", exc);
    PyObject *error = logger == NULL ? NULL : PyObject_GetAttrString(logger, "error");
    PyObject *done = NULL;
    if (args != NULL && kwargs != NULL && error != NULL) {
        done = PyObject_Call(error, args, kwargs);
    }
    if (done == NULL) {
        PyErr_WriteUnraisable(logger);
    }
    Py_XDECREF(done);
    Py_XDECREF(error);
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
}

/* The peer's address for the log: any object. */
static PyObject *
peer_of(const FioConn *conn)
{
    if (conn->transport == NULL) {
        Py_RETURN_NONE;
    }
    return PyObject_CallMethod(conn->transport, "get_extra_info", "s", "peername");
}

void
fio_server_log_refused(FioServer *server, FioConn *conn, int status, const char *reason)
{
    const int64_t now = server_now();
    server->access.refused++;
    if (server->complained != 0 && now - server->complained < COMPLAINT_INTERVAL) {
        server->uncomplained++;
        return;
    }
    PyObject *logger = server_logger(server);
    PyObject *peer = peer_of(conn);
    PyObject *done = NULL;
    if (logger != NULL && peer != NULL) {
        done = PyObject_CallMethod(logger, "warning", "sOisK",
                                   "refused a request from %s: %d %s (%d more before)", peer,
                                   status, reason, (unsigned long long)server->uncomplained);
    }
    if (done == NULL) {
        PyErr_WriteUnraisable(logger);
    }
    server->complained = now;
    server->uncomplained = 0;
    Py_XDECREF(done);
    Py_XDECREF(peer);
}
