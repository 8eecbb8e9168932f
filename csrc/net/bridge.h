#ifndef FIO_NET_BRIDGE_H
#define FIO_NET_BRIDGE_H

/* Calls of a transport's Python protocol, for the files that make them. */

#include "net/transport.h"

/* protocol.<name>(*args) in the transport's context; at most two arguments. */
FIO_MUST_CHECK PyObject *fio_bridge_call(FioTransport *self, PyObject *name, PyObject *const *args,
                                         size_t nargs);

#endif
