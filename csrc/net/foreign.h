#ifndef FIO_NET_FOREIGN_H
#define FIO_NET_FOREIGN_H

/* The wire of a native protocol on another event loop: any asyncio transport, driven through its
 * Python methods. */

#include "net/link.h"

typedef struct {
    PyObject_HEAD
    fio_wire wire;
    fio_state *st;       /* borrowed: the type keeps the module alive */
    PyObject *transport; /* owned */
    PyObject *loop;      /* owned */
    bool in_batch;       /* bytes are being handed to the link: output waits for the end of it */
    bool flush_soon;     /* _flush() is scheduled */
} FioForeignWire;

/* A wire over `transport`, whose loop runs now. */
FIO_MUST_CHECK PyObject *fio_foreign_new(fio_state *st, PyObject *transport);

/* Round a call of the link that may write more than once: one write() at the end. */
void fio_foreign_begin(FioForeignWire *self);
void fio_foreign_end(FioForeignWire *self);

/* The transport is gone: output goes nowhere from now on. */
void fio_foreign_lose(FioForeignWire *self);

FIO_MUST_CHECK int fio_foreign_setup_types(PyObject *module);

#endif
