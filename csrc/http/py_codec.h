#ifndef FIO_HTTP_PY_CODEC_H
#define FIO_HTTP_PY_CODEC_H

/* The codecs as Python functions: parse_url, unquote, parse_query, parse_cookies, http dates,
 * response_head. And what turns decoded bytes into str, for the other rooms. */

#include "base/state.h"

/* The str of percent-encoded `text` (FIO_DECODE_* of http/url.h): bytes that are no UTF-8 become
 * U+FFFD with FIO_DECODE_BYTES, else surrogate escapes. */
FIO_MUST_CHECK PyObject *fio_decode_text(fio_view text, unsigned flags);

/* The str of a cookie's value as fio_cookie_next() gave it, without its quotes and escapes. */
FIO_MUST_CHECK PyObject *fio_decode_cookie(fio_view value);

/* 1: the standard library has no such cookie (later releases of each version: control characters
 * that came as escapes), so it is left out as aiohttp leaves it out; -1: exception set. */
FIO_MUST_CHECK int fio_cookie_is_refused(PyObject *name, PyObject *value);

FIO_MUST_CHECK int fio_py_codec_setup_types(PyObject *module);

#endif
