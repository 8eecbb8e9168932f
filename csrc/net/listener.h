#ifndef FIO_NET_LISTENER_H
#define FIO_NET_LISTENER_H

/* Accepting connections; used from Python alone (fastaio/endpoints.py). */

#include "base/base.h"

FIO_MUST_CHECK int fio_listener_setup_types(PyObject *module);

#endif
