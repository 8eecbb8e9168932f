#ifndef FIO_SERVER_DISPATCH_H
#define FIO_SERVER_DISPATCH_H

/* From a request to its handler, and from what the handler gave to the answer. */

#include "server/handler_task.h"

/* Has conn->request handled: afterwards it is answered, or its handler waits and goes on as
 * conn->task. */
void fio_dispatch(FioConn *conn);

/* The handler or finish() gave `value` (taken over) / raised the exception that is set. 0: the
 * request is done with; 1: handling->coro is to be run next; -1: the exception set is not one
 * that an answer can be made of, the request is done with. */
FIO_MUST_CHECK int fio_dispatch_value(fio_handling *handling, FIO_STEALS PyObject *value);
FIO_MUST_CHECK int fio_dispatch_raised(fio_handling *handling);

#endif
