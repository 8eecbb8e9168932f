#ifndef FIO_SERVER_HANDLER_TASK_H
#define FIO_SERVER_HANDLER_TASK_H

/* How a handler's coroutine is run: its first step at once, on the stack of the read that brought
 * the request, and, should it have to wait, the rest as an asyncio.Task. */

#include "server/conn.h"

/* What is being done for one request. */
typedef struct {
    FioConn *conn;       /* owned */
    FioRequest *request; /* owned */
    PyObject *coro;      /* owned: the handler's coroutine, later that of the server's finish() */
    PyObject *response;  /* owned or NULL: what finish() works on */
    PyObject *context;   /* borrowed: the contextvars.Context entered for the first step */
    bool called;         /* the handler's own awaitable was seen: its result is a response */
    bool excused;        /* the answer is that of an exception */
} fio_handling;

void fio_handling_clear(fio_handling *handling);

/* Takes the first step of handling->coro, in handling->context, which is entered. All that
 * `handling` holds is taken over: it is empty afterwards. */
void fio_handler_start(fio_handling *handling);

/* Ends a handler that never was a coroutine by the exception that is set and that no answer can
 * be made of (KeyboardInterrupt, SystemExit, CancelledError): a task raises it to the loop. */
void fio_handler_surface(fio_handling *handling);

FIO_MUST_CHECK int fio_handler_task_setup_types(PyObject *module);

#endif
