#ifndef FIO_NET_PIPE_H
#define FIO_NET_PIPE_H

/* Transports of pipes, terminals and sockets used one way; made from Python alone
 * (fastaio/endpoints.py). */

#include "base/base.h"

FIO_MUST_CHECK int fio_pipe_setup_types(PyObject *module);

#endif
