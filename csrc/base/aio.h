#ifndef FIO_BASE_AIO_H
#define FIO_BASE_AIO_H

/* What C needs of asyncio and coroutines wherever it runs: finished awaitables, futures. */

#include "base/state.h"

/* An awaitable that is done already: `await` gives `value` at once, with no suspension. For methods
 * that asyncio's style makes coroutines but that seldom have to wait. */
FIO_MUST_CHECK PyObject *fio_ready_new(fio_state *st, PyObject *value);

/* The iterator that `await awaitable` runs (taken over; NULL, with an exception set, gives NULL).
 */
FIO_MUST_CHECK PyObject *fio_await_iterator(FIO_STEALS PyObject *awaitable);

/* Raises StopIteration(value): how a tp_iternext says what am_send says by PYGEN_RETURN. */
void fio_stop_iteration(FIO_STEALS PyObject *value);

/* loop.create_future() of any loop. */
FIO_MUST_CHECK PyObject *fio_future_new(fio_state *st, PyObject *loop);

/* future.set_result(value) / set_exception(exc) unless the future is done already. */
FIO_MUST_CHECK int fio_future_set_result(fio_state *st, PyObject *future, PyObject *value);
FIO_MUST_CHECK int fio_future_set_exception(fio_state *st, PyObject *future, PyObject *exc);

FIO_MUST_CHECK int fio_aio_setup_types(PyObject *module);

#endif
