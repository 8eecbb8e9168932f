#ifndef FIO_LOOP_SCHEDULE_H
#define FIO_LOOP_SCHEDULE_H

/* Methods of the Loop type that make something run later. */

#include "loop/callback.h"

/* METH_FASTCALL | METH_KEYWORDS: (callback, *args, context=None). Return the Handle. */
PyObject *fio_schedule_call_soon(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames);
PyObject *fio_schedule_call_soon_threadsafe(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                            PyObject *kwnames);
/* The same, for a Handle that is not queued. */
PyObject *fio_schedule_new_handle(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kwnames);
/* METH_FASTCALL | METH_KEYWORDS: (when or delay, callback, *args, context=None). Return the
 * TimerHandle. */
PyObject *fio_schedule_call_at(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *kwnames);
PyObject *fio_schedule_call_later(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kwnames);

/* METH_O: queues a Handle that is not cancelled. */
PyObject *fio_schedule_add_callback(FioLoop *loop, PyObject *handle);

/* METH_NOARGS, METH_FASTCALL | METH_KEYWORDS: as asyncio's methods of these names. */
PyObject *fio_schedule_create_future(FioLoop *loop, PyObject *unused);
PyObject *fio_schedule_create_task(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kwnames);

/* RuntimeError on a closed loop. */
FIO_MUST_CHECK int fio_loop_check_closed(FioLoop *loop);

#endif
