#ifndef FIO_SERVER_PATH_H
#define FIO_SERVER_PATH_H

#include "base/base.h"

/* A str of a path with its escapes decoded as yarl does it (FIO_DECODE_PATH of http/url.h); stray
 * bytes become lone surrogates (surrogateescape). */
FIO_MUST_CHECK PyObject *fio_path_to_str(fio_view path);

#endif
