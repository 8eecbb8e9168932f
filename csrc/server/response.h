#ifndef FIO_SERVER_RESPONSE_H
#define FIO_SERVER_RESPONSE_H

/* The response types (the C bases of fastaio.web.StreamResponse and Response) and how they reach
 * the connection. A plain Response is sent in one go by fio_response_send(); a StreamResponse by
 * its own prepare(), write() and write_eof(), which seldom suspend. */

#include "base/state.h"

struct FioConn;
struct FioRequest;

typedef struct FioResponse {
    PyObject_HEAD
    fio_state *st;
    int status;
    PyObject *reason;       /* owned str, or NULL: the standard one */
    PyObject *headers;      /* owned: a CIMultiDict made when asked for, or NULL: no fields of the
                               application's own */
    PyObject *content_type; /* owned str, the whole field value with charset, or NULL */
    PyObject *body;         /* owned: bytes, bytearray, memoryview, a payload object, or NULL */
    PyObject *cookies;      /* owned: http.cookies.SimpleCookie, or NULL */
    int64_t content_length; /* -1: not set by the application */
    int8_t keep_alive;      /* -1: as the request says; 0: close after this; 1: keep */
    bool chunked;
    bool streaming; /* a StreamResponse: body comes by write() */
    bool prepared;  /* the head is out */
    bool eof_sent;
    uint64_t body_sent;         /* bytes */
    struct FioRequest *request; /* owned while being sent, else NULL */
    PyObject *dict;
    PyObject *weakrefs;
} FioResponse;

/* Sends a response that is ready as a whole: head and body go to the connection's output.
 * 0 sent; 1 it needs its coroutine (a payload, a file, compression, on_response_prepare signals):
 * await the server's `finish(request, response)`; -1 exception set and nothing sent. */
FIO_MUST_CHECK int fio_response_send(FioResponse *response, struct FioRequest *request,
                                     struct FioConn *conn);

FIO_MUST_CHECK int fio_response_setup_types(PyObject *module);

#endif
