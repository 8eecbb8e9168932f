#ifndef FIO_LOOP_EXECUTOR_H
#define FIO_LOOP_EXECUTOR_H

/* Futures of concurrent.futures executors, awaited on a loop. */

#include "loop/loop.h"

/* loop._chain_future(source): a future of the loop that is done as the executor's is; cancelled, it
 * cancels that (asyncio: futures.wrap_future). */
FIO_MUST_CHECK PyObject *fio_executor_chain(FioLoop *loop, PyObject *source);

#endif
