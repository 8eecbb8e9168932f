#ifndef FIO_SERVER_PATH_H
#define FIO_SERVER_PATH_H

/* Percent-decoding of paths as yarl does it: an escape is decoded where the bytes it stands for
 * are valid UTF-8 and stays as it was sent where they are not. */

#include "base/base.h"

/* FIO_PATH_SAFE leaves "/" and "%" escaped (as %2F and %25), so that the segments stay what they
 * were: what routes are compared with. */
typedef enum { FIO_PATH_FULL, FIO_PATH_SAFE } fio_path_mode;

/* Decodes `path` into `out`, which has room for path.size bytes. Returns the bytes written. */
size_t fio_path_decode(fio_view path, fio_path_mode mode, char *out);

/* The byte that "%XX" at `at` stands for, or -1. */
int fio_path_escaped_byte(const char *at, const char *end);

/* A str of the decoded path; stray bytes become lone surrogates (surrogateescape). */
FIO_MUST_CHECK PyObject *fio_path_to_str(fio_view path, fio_path_mode mode);

#endif
