/* Statuses of libuv and the kernel to Python exceptions: the one place that knows how. */

#include "base/errors.h"

#include <errno.h>

PyObject *
fio_raise_errno(int err)
{
    assert(err > 0);
    errno = err;
    /* OSError picks its subclass from the number itself. */
    return PyErr_SetFromErrno(PyExc_OSError);
}

PyObject *
fio_raise_uv(int err)
{
    /* On Unix a libuv status is -errno. */
    return fio_raise_errno(-err);
}

PyObject *
fio_oserror_from_errno(int err)
{
    PyObject *exc = PyObject_CallFunction(PyExc_OSError, "is", err, strerror(err));
    return exc;
}
