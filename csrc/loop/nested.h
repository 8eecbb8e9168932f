#ifndef FIO_LOOP_NESTED_H
#define FIO_LOOP_NESTED_H

/* Runs inside of a run: the Loop type's part of fastaio.allow_nested(). */

#include "loop/loop.h"

/* METH_NOARGS, from a callback of the running loop: turns until something stops this run. True
 * where that was stop(), False where it was `loop._stopping = True`. The run around it is as it
 * was. */
PyObject *fio_nested_run(FioLoop *loop, PyObject *unused);

#endif
