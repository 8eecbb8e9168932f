#ifndef FIO_HTTP_MULTIPART_H
#define FIO_HTTP_MULTIPART_H

/* multipart bodies (RFC 2046 5.1, RFC 7578) as a stream: bytes in, heads of parts and pieces of
 * their content out. Keeps no bytes: what it could not use yet must be handed in again. */

#include "http/message.h"

#define FIO_BOUNDARY_MAX 70    /* RFC 2046 5.1.1 */
#define FIO_PART_FIELDS_MAX 16 /* fields of one part; browsers send two */

typedef struct {
    uint32_t parts; /* number of parts */
    uint32_t head;  /* bytes of one part's header section, and of the text before the first part */
} fio_multipart_limits;

/* 1000 parts, 8190 bytes. */
extern const fio_multipart_limits fio_multipart_limits_default;

/* The header section of a part; spans are offsets into the bytes of the call that found it. */
typedef struct {
    uint32_t field_count;
    fio_field fields[FIO_PART_FIELDS_MAX];
} fio_part;

typedef struct {
    const char *error; /* short reason for a negative result */
    /* Private to multipart.c: */
    fio_multipart_limits limits;
    uint32_t parts;
    uint32_t preamble; /* bytes of it so far */
    uint8_t phase;
    uint8_t delimiter_size;
    char delimiter[FIO_BOUNDARY_MAX + 4]; /* CRLF "--" boundary */
} fio_multipart;

/* `boundary` is the parameter of the Content-Type, without quotes. False when it is none. */
FIO_MUST_CHECK bool fio_multipart_start(fio_multipart *multipart, fio_view boundary,
                                        const fio_multipart_limits *limits);

/* Results of fio_multipart_next() that are not errors. */
#define FIO_MULTIPART_MORE 0 /* call again with the unused bytes and more behind them */
#define FIO_MULTIPART_PART 1 /* a part begins: *part */
#define FIO_MULTIPART_DATA 2 /* *piece is content of the part */
#define FIO_MULTIPART_END 3  /* the part is complete */
#define FIO_MULTIPART_DONE 4 /* the last part was; whatever follows is of no concern */

/* Reads on: uses *used of the `size` bytes at `data`; call again with the rest after every result
 * but _MORE. FIO_E_BAD_REQUEST, or FIO_E_BODY_TOO_LARGE for too many parts or too long a head. A
 * body that ends before _DONE is malformed. */
FIO_MUST_CHECK int fio_multipart_next(fio_multipart *multipart, const char *data, size_t size,
                                      size_t *used, fio_view *piece, fio_part *part);

#endif
