#ifndef FIO_NET_LISTENER_H
#define FIO_NET_LISTENER_H

#include "base/base.h"

FIO_MUST_CHECK int fio_listener_setup_types(PyObject *module);

#endif
