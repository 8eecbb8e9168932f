#ifndef FIO_HTTP_TARGET_H
#define FIO_HTTP_TARGET_H

/* The request target in its four forms (RFC 9112 3.2). */

#include "http/message.h"

/* Splits head->target, found in the bytes at `base`, into path, query and host; head->method is
 * set. FIO_OK, or FIO_E_BAD_REQUEST with *reason said, for a form that the method must not have. */
FIO_MUST_CHECK int fio_target_split(fio_head *head, const char *base, const char **reason);

#endif
