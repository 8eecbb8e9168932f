#ifndef FIO_LOOP_SOCK_H
#define FIO_LOOP_SOCK_H

/* sock_recv(), sock_recv_into(), sock_sendall(): METH_FASTCALL methods of the Loop type. */

#include "loop/callback.h"

PyObject *fio_sock_recv(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_sock_recv_into(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *kwnames);
PyObject *fio_sock_sendall(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames);

FIO_MUST_CHECK int fio_sock_setup_types(PyObject *module);

#endif
