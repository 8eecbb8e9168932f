#ifndef FIO_SERVER_REQUEST_H
#define FIO_SERVER_REQUEST_H

/* The request as handlers see it (the C base of fastaio.web.Request). Its attributes become Python
 * objects when they are read. Until fio_request_keep() it looks into the connection's read buffer
 * and so lives no longer than the read callback that parsed it. */

#include "http/body.h"
#include "http/message.h"
#include "server/router.h"

struct FioConn;

/* Attributes kept once they are made, in FioRequest.made. */
typedef enum {
    FIO_REQUEST_APP,
    FIO_REQUEST_COOKIES,
    FIO_REQUEST_HEADERS,
    FIO_REQUEST_HOST,
    FIO_REQUEST_LOOP,
    FIO_REQUEST_MATCH_INFO,
    FIO_REQUEST_METHOD,
    FIO_REQUEST_PATH,
    FIO_REQUEST_PROTOCOL,
    FIO_REQUEST_QUERY,
    FIO_REQUEST_RAW_HEADERS,
    FIO_REQUEST_READ, /* the bytes read() gave */
    FIO_REQUEST_REL_URL,
    FIO_REQUEST_REMOTE,
    FIO_REQUEST_SCHEME,
    FIO_REQUEST_STATE, /* request["key"]: a dict */
    FIO_REQUEST_TASK,
    FIO_REQUEST_TRANSPORT,
    FIO_REQUEST_URL,
    FIO_REQUEST_VERSION,
    FIO_REQUEST_ATTRIBUTES,
} fio_request_attribute;

typedef struct FioRequest {
    PyObject_HEAD
    struct FioConn *conn;     /* owned: NULL once the connection dropped the request */
    PyObject *past_transport; /* owned: of that connection, which still knows the addresses */
    fio_state *st;            /* borrowed: the type keeps the module alive */
    fio_pool *pool;           /* held: where the memory goes back to */
    fio_pool *head_pool;      /* held */
    fio_head *head;           /* owned: of fio_head_new() */
    const char *base;         /* the head's bytes: in the read buffer, or `kept` */
    char *kept;               /* owned copy of head and complete body, or NULL */
    fio_match match;          /* what it holds is owned while the request lives */
    /* A body that was complete when the handler was called is `whole` (a view that moves to `kept`
     * with the head; whole_owner keeps joined chunks); else `body` is being fed. */
    fio_view whole;
    PyObject *whole_owner; /* owned bytes or NULL */
    fio_buf whole_ends;    /* offsets in `whole` (size_t) at which a chunk ends */
    FioBody *body;         /* owned or NULL: being fed, or made from `whole` for content */
    uint64_t max_size;     /* client_max_size: bytes read() gives at most; 0: no limit */
    bool has_body;         /* the message has one */
    bool body_taken;       /* `whole` was read or handed to `body` */
    uint32_t made_mask;    /* which of `made` are there */
    PyObject *made[FIO_REQUEST_ATTRIBUTES]; /* owned where the mask says so, else undefined */
    PyObject *dict;
    PyObject *weakrefs;
    FIO_MONITOR_FIELD /* the connection's loop */
} FioRequest;

/* aiohttp's client_max_size, bytes. */
#define FIO_REQUEST_MAX_SIZE (1024 * 1024)

/* Memory for a head to be parsed into; fio_request_new() takes it over. NULL: MemoryError. */
FIO_MUST_CHECK fio_head *fio_head_new(fio_state *st);
/* Gives a head back that no request took over. */
void fio_head_free(fio_state *st, fio_head *head);

/* `type` is RequestType or a subtype of it. Takes `head` over, also on failure; a new reference to
 * `conn` (which may be NULL) is taken. */
FIO_MUST_CHECK FioRequest *fio_request_new(fio_state *st, PyTypeObject *type, struct FioConn *conn,
                                           fio_head *head, const char *base);

/* Copies what it looks at in the read buffer, so that it may live on. -1: MemoryError. */
FIO_MUST_CHECK int fio_request_keep(FioRequest *request);

/* The connection is done with the request, which may live on in the application's hands:
 * transport, protocol and task are None from now on. */
void fio_request_drop_conn(FioRequest *request);

static inline bool
fio_request_has(const FioRequest *request, fio_request_attribute attribute)
{
    return (request->made_mask >> attribute & 1) != 0;
}

/* Keeps `value` (taken over) as an attribute; the one there before is released. */
static inline void
fio_request_set(FioRequest *request, fio_request_attribute attribute, FIO_STEALS PyObject *value)
{
    PyObject *old = fio_request_has(request, attribute) ? request->made[attribute] : NULL;
    request->made[attribute] = value;
    request->made_mask |= 1U << attribute;
    Py_XDECREF(old);
}

/* An attribute, made if need be. Borrowed from the request; NULL: exception set. */
FIO_MUST_CHECK FIO_BORROWED PyObject *fio_request_get(FioRequest *request,
                                                      fio_request_attribute attribute);

FIO_MUST_CHECK int fio_request_setup_types(PyObject *module);

#endif
