#ifndef FIO_HTTP_COOKIE_H
#define FIO_HTTP_COOKIE_H

/* The Cookie field as names and values, as tolerant as aiohttp is with what browsers and other
 * servers' cookies bring (RFC 6265 5.4). */

#include "base/base.h"

/* The next cookie of a Cookie field's value; *rest moves behind it. The value is as sent: with its
 * quotes, if any. Pieces with a malformed name are stepped over. False at the end. */
bool fio_cookie_next(fio_view *rest, fio_view *name, fio_view *value);

/* Takes the quotes off `value` and undoes its escapes: '\' and three octal digits are that code
 * point (written as UTF-8), '\' and another character is that one. `out` has room for value.size
 * bytes; returns how many were written. */
size_t fio_cookie_unquote(char *out, fio_view value);

#endif
