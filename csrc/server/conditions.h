#ifndef FIO_SERVER_CONDITIONS_H
#define FIO_SERVER_CONDITIONS_H

/* Conditional requests and ranges (RFC 9110 13 and 14) as far as they are text: entity tags and
 * one byte range. */

#include "http/message.h"

typedef struct {
    fio_view value; /* without the quotes */
    bool weak;
} fio_etag;

/* The next entity tag of a list, from `*at` on, which moves behind it. False at the end or where
 * the list is malformed from here on. aiohttp: BaseRequest._etag_values */
bool fio_etag_next(const char **at, const char *end, fio_etag *etag);

/* Does the field value `list` ("*" or entity tags) name `etag`? Weak ones count only in a weak
 * comparison (RFC 9110 8.8.3.2). */
bool fio_etag_listed(fio_view list, fio_view etag, bool weak);

/* A field value "bytes=first-last" / "bytes=first-" / "bytes=-count". */
typedef struct {
    bool has_first;
    bool has_last;
    uint64_t first;
    uint64_t last; /* inclusive; without first: the number of bytes at the end */
} fio_byte_range;

/* False: not of that form, or last before first. */
bool fio_byte_range_parse(fio_view field, fio_byte_range *range);

#endif
