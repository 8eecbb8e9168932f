#ifndef FIO_LOOP_SOCK_H
#define FIO_LOOP_SOCK_H

/* sock_recv() and its family: METH_FASTCALL | METH_KEYWORDS methods of the Loop type. */

#include "loop/callback.h"

PyObject *fio_sock_recv(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_sock_recv_into(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *kwnames);
PyObject *fio_sock_recvfrom(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames);
PyObject *fio_sock_recvfrom_into(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames);
PyObject *fio_sock_sendall(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames);
PyObject *fio_sock_sendto(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames);
PyObject *fio_sock_accept(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames);
PyObject *fio_sock_connect(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames);

FIO_MUST_CHECK int fio_sock_setup_types(PyObject *module);

#endif
