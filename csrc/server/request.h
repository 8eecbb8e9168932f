#ifndef FIO_SERVER_REQUEST_H
#define FIO_SERVER_REQUEST_H

/* The request as handlers see it (the C base of fastaio.web.Request). Its attributes become Python
 * objects when they are read. Until fio_request_keep() it looks into the connection's read buffer
 * and so lives no longer than the read callback that parsed it. */

#include "http/body.h"
#include "http/message.h"
#include "server/router.h"

struct FioConn;

typedef struct FioRequest {
    PyObject_HEAD
    struct FioConn *conn; /* owned: cleared when the connection drops the request */
    fio_state *st;        /* borrowed: the type keeps the module alive */
    fio_head *head;       /* owned: PyMem block or of the server's pool */
    const char *base;     /* the head's bytes: in the read buffer, or `kept` */
    char *kept;           /* owned copy of head and complete body, or NULL */
    fio_match match;      /* route: owned while the request lives */
    /* A body that was complete when the handler was called is `whole` (a view that moves to `kept`
     * with the head; whole_owner keeps joined chunks); else `body` is being fed. */
    fio_view whole;
    PyObject *whole_owner; /* owned bytes or NULL */
    FioBody *body;         /* owned or NULL */
    bool has_body;
    /* Made when read, owned or NULL: */
    PyObject *method;
    PyObject *path;
    PyObject *raw_path;
    PyObject *query;
    PyObject *headers;
    PyObject *match_info;
    PyObject *state; /* request["key"]: a dict */
    PyObject *dict;
    PyObject *weakrefs;
} FioRequest;

/* `type` is a subtype of RequestType. Takes `head` over. */
FIO_MUST_CHECK FioRequest *fio_request_new(fio_state *st, PyTypeObject *type, struct FioConn *conn,
                                           fio_head *head, const char *base);

/* Copies what it looks at in the read buffer, so that it may live on. -1: MemoryError. */
FIO_MUST_CHECK int fio_request_keep(FioRequest *request);

FIO_MUST_CHECK int fio_request_setup_types(PyObject *module);

#endif
