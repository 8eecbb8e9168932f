#ifndef FIO_HTTP_PARSER_EVENTS_H
#define FIO_HTTP_PARSER_EVENTS_H

/* llhttp as it is, strict, for requests and responses: a stream of messages in, one event a part
 * out. For the parser classes with httptools' interface; the server reads with http/parser.h. */

#include "http/parser.h"

typedef enum {
    FIO_EVENT_MESSAGE_BEGIN,
    FIO_EVENT_URL,          /* with bytes; may come in pieces, as all that have bytes */
    FIO_EVENT_STATUS,       /* with bytes: the reason phrase */
    FIO_EVENT_HEADER_FIELD, /* with bytes */
    FIO_EVENT_HEADER_VALUE, /* with bytes */
    FIO_EVENT_HEADERS_COMPLETE,
    FIO_EVENT_BODY, /* with bytes */
    FIO_EVENT_MESSAGE_COMPLETE,
    FIO_EVENT_CHUNK_HEADER,
    FIO_EVENT_CHUNK_COMPLETE,
} fio_event;

/* Results of fio_events_feed(). */
typedef enum {
    FIO_EVENTS_OK = 0,
    FIO_EVENTS_UPGRADE = 1, /* the rest of the bytes is another protocol's */
    FIO_EVENTS_CALLBACK = -1,
    FIO_EVENTS_INVALID_METHOD = -2,
    FIO_EVENTS_INVALID_URL = -3,
    FIO_EVENTS_INVALID_STATUS = -4,
    FIO_EVENTS_INVALID = -5,
} fio_events_result;

typedef struct fio_events {
    _Alignas(void *) unsigned char llhttp[FIO_LLHTTP_SIZE];
    /* Takes an event; -1 stops the parser for good. Must not feed the same parser. */
    int (*take)(struct fio_events *events, fio_event event, const char *at, size_t size);
    const char *error; /* after a negative result: why */
} fio_events;

void fio_events_init(fio_events *events, bool response,
                     int (*take)(fio_events *events, fio_event event, const char *at, size_t size));

/* With FIO_EVENTS_UPGRADE *used says where the other protocol begins; the parser may be fed with a
 * new message afterwards. */
FIO_MUST_CHECK fio_events_result fio_events_feed(fio_events *events, const char *data, size_t size,
                                                 size_t *used);

/* Of the message being read. */
int fio_events_major(const fio_events *events);
int fio_events_minor(const fio_events *events);
int fio_events_status(const fio_events *events);
const char *fio_events_method(const fio_events *events);
bool fio_events_keep_alive(const fio_events *events);
bool fio_events_upgrade(const fio_events *events);

#endif
