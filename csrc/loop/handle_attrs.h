#ifndef FIO_LOOP_HANDLE_ATTRS_H
#define FIO_LOOP_HANDLE_ATTRS_H

/* The attributes of Handle and TimerHandle: asyncio's are plain slots, which programs read and
 * set. What is set has the effect it has there. */

#include "loop/callback.h"

/* What `handle._args` gives. */
FIO_MUST_CHECK PyObject *fio_handle_get_args(FioHandle *self, void *closure);

/* Arguments that were set, as a tuple; TypeError in the words of asyncio's call. */
FIO_COLD FIO_MUST_CHECK PyObject *fio_handle_args_tuple(PyObject *args);

/* Calls the callback with arguments that were set, by asyncio's own code where these are no tuple.
 */
FIO_COLD FIO_MUST_CHECK PyObject *fio_handle_call_given(FioHandle *self);

extern PyGetSetDef fio_handle_getset[];
extern PyGetSetDef fio_timer_handle_getset[];

#endif
