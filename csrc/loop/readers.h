#ifndef FIO_LOOP_READERS_H
#define FIO_LOOP_READERS_H

/* add_reader() and its family: the table of methods is part of the Loop type's. */

#include "loop/callback.h"

/* METH_FASTCALL | METH_KEYWORDS: (fd, callback, *args). */
PyObject *fio_readers_add_reader(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames);
PyObject *fio_readers_add_writer(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames);
/* METH_FASTCALL: (fd, callback, *args) for asyncio's own code; return the Handle. */
PyObject *fio_readers_add_reader_unchecked(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                           PyObject *kwnames);
PyObject *fio_readers_add_writer_unchecked(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                           PyObject *kwnames);

/* METH_FASTCALL | METH_KEYWORDS: (fd). True if there was one. */
PyObject *fio_readers_remove_reader(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                    PyObject *kwnames);
PyObject *fio_readers_remove_writer(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                    PyObject *kwnames);
/* METH_O: the same for asyncio's own code. */
PyObject *fio_readers_remove_reader_unchecked(FioLoop *loop, PyObject *file);
PyObject *fio_readers_remove_writer_unchecked(FioLoop *loop, PyObject *file);

/* METH_O: RuntimeError where a transport of the loop uses the descriptor. */
PyObject *fio_readers_ensure_no_transport(FioLoop *loop, PyObject *file);

/* METH_O: (fd). How it is watched: (fd, events, file, reader, writer), or None. The file is the
 * number and the handles are None where they are not add_reader()'s and add_writer()'s. */
PyObject *fio_readers_watched(FioLoop *loop, PyObject *file);

/* METH_NOARGS: the list of these. */
PyObject *fio_readers_watches(FioLoop *loop, PyObject *unused);

/* Registers `handle` for a sock_ call (event: one of UV_READABLE and UV_WRITABLE), in place of what
 * was registered; RuntimeError where a transport uses the descriptor. */
FIO_MUST_CHECK int fio_readers_wait(FioLoop *loop, int fd, FioHandle *handle, int event);

/* Ends fio_readers_wait(), if it is still `handle` that is registered. The descriptor stays known
 * to the kernel: the next call on it will soon wait again. */
void fio_readers_unwait(FioLoop *loop, FioHandle *handle, int event);

int fio_readers_traverse(FioLoop *loop, visitproc visit, void *arg);

#endif
