#ifndef FIO_BASE_ERRORS_H
#define FIO_BASE_ERRORS_H

#include "base/state.h"

/* Sets the OSError subclass that stands for the libuv status `err` (< 0) and returns NULL, so
 * that a caller can `return fio_raise_uv(err);`. */
PyObject *fio_raise_uv(int err);

/* The same for an errno value (> 0). */
PyObject *fio_raise_errno(int err);

/* A new OSError (of the right subclass) for an errno value, not raised; NULL with an exception
 * set when there is no memory for it. */
PyObject *fio_oserror_from_errno(int err);

#endif
