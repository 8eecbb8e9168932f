#ifndef FIO_SERVER_RESPONSE_H
#define FIO_SERVER_RESPONSE_H

/* The response types (the C bases of fastaio.web.StreamResponse, Response and FileResponse) and
 * how they reach the connection. A plain Response is sent in one go by fio_response_send(); a
 * StreamResponse by its own prepare(), write() and write_eof(), which seldom suspend. All three
 * types have one struct, so that Python classes may inherit from several of them. */

#include "base/buf.h"
#include "base/state.h"
#include "http/message.h"

struct FioConn;
struct FioRequest;
struct fio_file;

typedef struct FioResponse {
    PyObject_HEAD
    fio_state *st;
    fio_pool *pool; /* held: where the memory goes back to */
    int status;
    int8_t keep_alive; /* -1: as the request says; 0: close after this; 1: keep */
    bool whole;        /* the body is there as a whole: a Response */
    bool is_file;      /* a FileResponse: `body` is the path */
    bool no_links;     /* and no symbolic link may be in it */
    bool chunked;      /* by enable_chunked_encoding() */
    bool cold;         /* set by Python (`_cold`): the head needs _prepare_slow(), as compression */
    bool prepared;     /* the head is out */
    bool eof_sent;
    /* Set with the head: how the body goes out. */
    bool no_body;           /* HEAD, 1xx, 204, 304, CONNECT 2xx: none whatever is written */
    bool framed;            /* in chunks */
    int64_t left;           /* of Content-Length, -1: none was sent */
    int64_t content_length; /* of a StreamResponse without `headers`; -1: not set */
    uint64_t body_sent;     /* bytes */
    PyObject *reason;       /* owned str, or NULL: the standard one */
    PyObject *headers;      /* owned: a CIMultiDict made when asked for, or NULL: no fields of the
                               application's own */
    PyObject *content_type; /* owned str, the whole field value with charset, or NULL: what is in
                               `headers`, or none */
    PyObject *body;         /* owned: bytes, bytearray, ASCII str, a payload object, the path of a
                               FileResponse, or NULL */
    PyObject *cookies;      /* owned: http.cookies.SimpleCookie, or NULL */
    PyObject *state;        /* owned: response["key"], a dict or NULL */
    struct fio_file *file;  /* held: what a FileResponse sends, from prepare() on */
    int64_t file_offset;    /* of its bytes still to be sent, */
    int64_t file_left;      /* and how many they are */
    struct FioRequest *request; /* owned from prepare() to write_eof(), else NULL */
    PyObject *dict;
    PyObject *weakrefs;
} FioResponse;

/* The response that a handler's result or exception stands for: itself, or the object's attribute
 * __http_response__ (fastaio.web.HTTPException). *response is a new reference. 1 there is one, 0
 * there is none, -1 exception set. */
FIO_MUST_CHECK int fio_response_of(fio_state *st, PyObject *value, FioResponse **response);

/* Sends a response that is ready as a whole, or what is left of one that was prepared: head and
 * body go to the connection's output, and conn->keep_alive and answer_started are set. 0 sent (or
 * the connection is lost); 1 it needs its coroutine (a payload, compression, on_response_prepare
 * signals, an overridden method): await the server's `finish(request, response)`; -1 exception set
 * and nothing sent, unless conn->answer_started. */
FIO_MUST_CHECK int fio_response_send(FioResponse *response, struct FioRequest *request,
                                     struct FioConn *conn);

FIO_MUST_CHECK int fio_response_setup_types(PyObject *module);

#endif
