/* A request's way to its handler, and what the handler gave or raised on its way to the answer. */

#include "server/dispatch.h"

#include "server/conn_parts.h"
#include "server/steps.h"

/* What aiohttp says, too: nothing of the failure itself. */
#define SERVER_ERROR_TEXT "500 Internal Server Error\n\nServer got itself in trouble"
#define TIMEOUT_TEXT "504 Gateway Timeout\n\nServer got itself in trouble"

/* Whether the connection still waits for this request's answer. */
static bool
is_awaited(const fio_handling *handling)
{
    return handling->conn->request == handling->request && handling->conn->wire != NULL;
}

/* -- answers --------------------------------------------------------------------------------------
 */

/* Has the server's coroutine send what cannot be sent in one go. */
static int
answer_by_finish(fio_handling *handling, PyObject *response)
{
    PyObject *finish = handling->conn->server->finish;
    if (finish == NULL) {
        PyErr_SetString(PyExc_TypeError, "this response needs a server with finish=");
        return fio_dispatch_raised(handling);
    }
    PyObject *args[] = {NULL, (PyObject *)handling->request, response};
    FIO_LET_GO_MONITOR(&handling->conn->super);
    PyObject *coro = PyObject_Vectorcall(finish, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                         NULL);
    FIO_TAKE_BACK();
    if (coro == NULL) {
        return fio_dispatch_raised(handling);
    }
    handling->response = Py_NewRef(response);
    handling->coro = coro;
    return 1;
}

/* What a body that was not read means for the connection, before the head says so. */
static void
prepare_answer(FioConn *conn)
{
    const bool is_too_long = conn->phase == FIO_PHASE_BODY
                             && conn->request->head->content_length > FIO_DRAIN_BYTES;
    if (conn->refusal != 0 || is_too_long || conn->continue_owed || conn->server->shutting_down) {
        conn->keep_alive = false;
    }
}

static int
answer(fio_handling *handling, PyObject *object)
{
    FioConn *conn = handling->conn;
    FioResponse *response = (FioResponse *)object;
    if (!is_awaited(handling)) {
        return 0;
    }
    if (conn->answer_started && !response->prepared) {
        PyErr_SetString(PyExc_RuntimeError, "another response was already sent to this request");
        return fio_dispatch_raised(handling);
    }
    if (conn->answer_ended && response->eof_sent) {
        fio_conn_answered(conn, object, response->status);
        return 0;
    }
    prepare_answer(conn);
    int sent = fio_response_send(response, handling->request, conn);
    if (sent < 0) {
        return fio_dispatch_raised(handling);
    }
    if (sent > 0) {
        return answer_by_finish(handling, object);
    }
    if (is_awaited(handling)) { /* the application's part in the head may have ended it */
        fio_conn_answered(conn, object, response->status);
    }
    return 0;
}

/* finish() is over. */
static int
answer_finished(fio_handling *handling)
{
    PyObject *response = handling->response;
    handling->response = NULL;
    int result = 0;
    if (is_awaited(handling)) {
        if (((FioResponse *)response)->eof_sent) {
            fio_conn_answered(handling->conn, response, ((FioResponse *)response)->status);
        }
        else {
            PyErr_SetString(PyExc_RuntimeError, "finish() did not complete the response");
            result = fio_dispatch_raised(handling);
        }
    }
    Py_DECREF(response);
    return result;
}

/* -- what a handler gave --------------------------------------------------------------------------
 */

static inline bool
is_response(const fio_state *st, PyObject *object)
{
    return Py_IS_TYPE(object, st->ResponseType)
           || PyObject_TypeCheck(object, st->StreamResponseType);
}

/* The iterator behind an awaitable: 1; 0: it is none; -1: exception set. */
static int
awaitable_steps(PyObject *value, PyObject **steps)
{
    if (PyCoro_CheckExact(value)) {
        *steps = Py_NewRef(value);
        return 1;
    }
    PyAsyncMethods *methods = Py_TYPE(value)->tp_as_async;
    if (methods == NULL || methods->am_await == NULL) {
        return 0;
    }
    *steps = methods->am_await(value);
    return *steps == NULL ? -1 : 1;
}

/* A value that is neither a response nor, from the handler itself, an awaitable. */
static int
answer_stranger(fio_handling *handling, PyObject *value)
{
    fio_state *st = handling->conn->server->st;
    FioResponse *response = NULL;
    int found = fio_response_of(st, value, &response);
    if (found > 0) {
        int next = answer(handling, (PyObject *)response);
        Py_DECREF(response);
        return next;
    }
    if (found == 0) {
        PyErr_Format(PyExc_RuntimeError,
                     "web-handler should return a response instance, got %.200s",
                     Py_TYPE(value)->tp_name);
    }
    return fio_dispatch_raised(handling);
}

int
fio_dispatch_value(fio_handling *handling, PyObject *value)
{
    if (handling->response != NULL) {
        Py_DECREF(value);
        return answer_finished(handling);
    }
    int next = 0;
    if (is_response(handling->conn->server->st, value)) {
        next = answer(handling, value);
    }
    else if (handling->called) {
        next = answer_stranger(handling, value);
    }
    else {
        handling->called = true;
        next = awaitable_steps(value, &handling->coro);
        if (next == 0) {
            next = answer_stranger(handling, value);
        }
        else if (next < 0) {
            next = fio_dispatch_raised(handling);
        }
    }
    Py_DECREF(value);
    return next;
}

/* -- what a handler raised ------------------------------------------------------------------------
 */

/* The answer that an exception carries, or NULL. */
static FioResponse *
exception_answer(fio_state *st, PyObject *exc)
{
    FioResponse *response = NULL;
    if (fio_response_of(st, exc, &response) < 0) {
        PyErr_Clear(); /* the exception in hand is the one to report */
    }
    return response;
}

/* `text` and the traceback of `exc`, for a server in debug mode; NULL: exception set. */
static PyObject *
debug_text(fio_state *st, const char *text, PyObject *exc)
{
    PyObject *format = fio_lazy_tb_format_exception(st);
    PyObject *lines = format == NULL ? NULL : PyObject_CallOneArg(format, exc);
    PyObject *empty = lines == NULL ? NULL : PyUnicode_FromStringAndSize(NULL, 0);
    PyObject *trace = empty == NULL ? NULL : PyUnicode_Join(empty, lines);
    PyObject *whole = trace == NULL ? NULL : PyUnicode_FromFormat("%s\n\n%U", text, trace);
    Py_XDECREF(lines);
    Py_XDECREF(empty);
    Py_XDECREF(trace);
    return whole;
}

/* aiohttp: 504 where a time-out of the handler's own came through, else 500. */
static void
answer_failure(FioConn *conn, PyObject *exc)
{
    const bool late = PyErr_GivenExceptionMatches(exc, PyExc_TimeoutError);
    const int status = late ? 504 : 500;
    const char *text = late ? TIMEOUT_TEXT : SERVER_ERROR_TEXT;
    PyObject *whole = NULL;
    const char *shown = NULL;
    if (conn->server->debug) {
        whole = debug_text(conn->server->st, text, exc);
        shown = whole == NULL ? NULL : PyUnicode_AsUTF8(whole);
        PyErr_Clear();
    }
    if (conn->wire != NULL) {
        fio_conn_answer_plain(conn, status, shown == NULL ? text : shown);
    }
    Py_XDECREF(whole);
}

/* An exception that nobody expected. */
static void
answer_error(fio_handling *handling, PyObject *exc)
{
    FioConn *conn = handling->conn;
    if (!is_awaited(handling)) {
        if (!PyErr_GivenExceptionMatches(exc, PyExc_ConnectionError)) {
            fio_server_log_exception(conn->server, "Error handling request", exc);
        }
        return;
    }
    if (conn->refusal != 0 && !conn->answer_started) {
        /* The body was at fault, and the handler met that. */
        fio_conn_answer_plain(conn, -conn->refusal, NULL);
        return;
    }
    fio_server_log_exception(conn->server, "Error handling request", exc);
    if (!is_awaited(handling)) {
        return; /* the logger closed it */
    }
    if (conn->answer_started) {
        fio_conn_fail(conn);
    }
    else {
        prepare_answer(conn);
        answer_failure(conn, exc);
    }
}

int
fio_dispatch_raised(fio_handling *handling)
{
    FioConn *conn = handling->conn;
    fio_state *st = conn->server->st;
    PyObject *exc = PyErr_GetRaisedException();
    if (!PyErr_GivenExceptionMatches(exc, PyExc_Exception)) {
        if (is_awaited(handling)) {
            fio_conn_fail(conn);
        }
        PyErr_SetRaisedException(exc);
        return -1;
    }
    FioResponse *response = NULL;
    int next = 0;
    if (!conn->answer_started && !handling->excused) {
        response = exception_answer(st, exc);
    }
    if (response != NULL) {
        handling->excused = true; /* an answer that fails in its turn is an error */
        Py_CLEAR(handling->response);
        next = answer(handling, (PyObject *)response);
        Py_DECREF(response);
    }
    else {
        Py_CLEAR(handling->response);
        answer_error(handling, exc);
    }
    Py_DECREF(exc);
    return next;
}

/* -- calling it -----------------------------------------------------------------------------------
 */

/* The handler of the request, borrowed; NULL: exception set. */
static PyObject *
find_handler(FioServer *server, FioRequest *request)
{
    if (server->router == NULL) {
        return server->handler;
    }
    if (fio_router_match(server->router, request->head, request->base, &request->match) < 0) {
        return NULL;
    }
    return request->match.route->handler;
}

/* With a task factory set, it makes the task, and no step is taken before. */
static int
start_by_factory(fio_handling *handling)
{
    FioServer *server = handling->conn->server;
    fio_state *st = server->st;
    FioSteps *steps = fio_steps_new(st, FIO_STEPS_NEW, handling->coro);
    if (steps == NULL || fio_request_keep(handling->request) < 0) {
        Py_XDECREF((PyObject *)steps);
        return fio_dispatch_raised(handling);
    }
    FIO_SET_MONITOR(steps, server->loop);
    FioConn *conn = (FioConn *)Py_NewRef((PyObject *)handling->conn);
    FioRequest *request = (FioRequest *)Py_NewRef((PyObject *)handling->request);
    steps->handling = *handling;
    steps->handling.context = NULL;
    *handling = (fio_handling){0};
    PyObject *task = PyObject_CallMethodOneArg(server->loop, st->str_create_task,
                                               (PyObject *)steps);
    Py_DECREF(steps);
    if (task == NULL) {
        handling->conn = (FioConn *)Py_NewRef((PyObject *)conn);
        handling->request = (FioRequest *)Py_NewRef((PyObject *)request);
    }
    else if (conn->request == request) {
        Py_XSETREF(conn->task, Py_NewRef(task));
    }
    Py_XDECREF(task);
    Py_DECREF(conn);
    Py_DECREF(request);
    return task == NULL ? fio_dispatch_raised(handling) : 0;
}

/* Calls the handler in the context entered, and takes its first step. */
static void
handle(fio_handling *handling)
{
    FioServer *server = handling->conn->server;
    PyObject *handler = find_handler(server, handling->request);
    PyObject *value = NULL;
    if (handler != NULL) {
        FIO_LET_GO_MONITOR(&handling->conn->super);
        value = PyObject_CallOneArg(handler, (PyObject *)handling->request);
        FIO_TAKE_BACK();
    }
    int next = value == NULL ? fio_dispatch_raised(handling) : fio_dispatch_value(handling, value);
    if (next > 0 && fio_server_has_task_factory(server)) {
        next = start_by_factory(handling);
        if (next == 0) {
            return;
        }
    }
    if (next > 0) {
        fio_handler_start(handling);
    }
    else if (next < 0) {
        fio_handler_surface(handling);
    }
}

void
fio_dispatch(FioConn *conn)
{
    FioRequest *request = (FioRequest *)Py_NewRef((PyObject *)conn->request);
    fio_handling handling = {
        .conn = (FioConn *)Py_NewRef((PyObject *)conn),
        .request = (FioRequest *)Py_NewRef((PyObject *)request),
    };
    /* As a task begun for the connection would have it: what its reads run in is nobody's. */
    PyObject *context = conn->context == NULL ? PyContext_CopyCurrent()
                                              : PyContext_Copy(conn->context);
    if (context == NULL || PyContext_Enter(context) < 0) {
        int next = fio_dispatch_raised(&handling);
        assert(next == 0); /* MemoryError is an Exception without an answer of its own */
        (void)next;
    }
    else {
        handling.context = context;
        handle(&handling);
        if (PyContext_Exit(context) < 0) {
            PyErr_WriteUnraisable(context);
        }
    }
    Py_XDECREF(context);
    fio_handling_clear(&handling);
    /* An answered request that somebody still holds lives on without the read buffer. */
    if ((Py_REFCNT(request) > 1 || (!FIO_GIL && request->weakrefs != NULL))
        && fio_request_keep(request) < 0) {
        PyErr_WriteUnraisable((PyObject *)request);
        fio_conn_fail(conn);
    }
    Py_DECREF(request);
}
