#ifndef FIO_SERVER_CONN_H
#define FIO_SERVER_CONN_H

/* One HTTP/1.1 server connection: bytes in, answers out in order. Requests of a connection are
 * handled one after the other; what a pipelining client sent ahead waits unparsed. It is a Link
 * (net/link.h): on our loop it sits straight on the stream, elsewhere on a Python transport. */

#include "base/list.h"
#include "http/parser.h"
#include "http/writer.h"
#include "net/link.h"
#include "server/request.h"
#include "server/response.h"
#include "server/server.h"

typedef struct FioConn {
    FioLink super;
    FioServer *server;       /* owned */
    fio_wire *wire;          /* borrowed: valid between connected() and lost(), else NULL */
    PyObject *transport;     /* owned: its asyncio.Transport, NULL once lost */
    PyObject *loop;          /* borrowed: of the server; NULL before connected() */
    PyObject *context;       /* owned: contextvars.Context, copied for each handler; or NULL */
    fio_parser *parser;      /* of the server's pool while a request is being read, else NULL */
    fio_head *head;          /* owned: being read into, until a request takes it over */
    fio_buf pending;         /* bytes read and not parsed yet: a split head, pipelined requests */
    FioRequest *request;     /* owned: the one being handled, or NULL */
    PyObject *task;          /* owned: the task of its handler while that runs or waits, or NULL */
    PyObject *drain_waiters; /* owned: a list of futures, or NULL */
    PyObject *heir;          /* owned: the protocol that took the connection over, or NULL */
    PyObject *dict;          /* owned or NULL: attributes of subclasses */
    PyObject *weakrefs;
    fio_node member;     /* place among the server's connections */
    fio_node waiting;    /* place in one of the server's lists of deadlines */
    int64_t deadline;    /* nanoseconds */
    fio_deferred resume; /* goes on with `pending` in the next turn; queued only while connected */
    size_t unsent;       /* of the wire when the wait for the peer began */
    int64_t began;       /* nanoseconds: when the head was complete; 0 where no log asks */
    uint64_t drained;    /* bytes read and thrown away since the answer */
    uint64_t served;     /* requests answered */
    uint8_t wait;        /* fio_wait */
    uint8_t phase;       /* private to conn*.c */
    uint8_t paused;      /* reasons why reading is paused; private to conn*.c */
    bool keep_alive;     /* after the current answer, which may clear it before its head is out */
    bool answer_started; /* output of the current answer is out: no other status can be sent */
    bool answer_ended;   /* and all of it */
    bool continue_owed;  /* the client waits for "100 Continue" */
    bool body_unread;    /* of the current request: has to be drained or the connection closed */
    bool eof;            /* the peer will send no more */
    bool dispatching;    /* a request's handler is in its first step up the stack */
    bool in_data;        /* bytes are being worked on up the stack: more of them go to pending */
    bool write_paused;   /* unsent output is over the high-water mark */
    bool resume_soon;    /* a resume is scheduled on a loop that is not ours */
    int refusal;         /* FIO_E*: what became of the body while its handler runs, or 0 */
} FioConn;

/* -- for response.c: the answer to conn->request --------------------------------------------------
 */

/* Where answers are appended; then fio_conn_written(). NULL when the connection is lost. */
fio_buf *fio_conn_output(FioConn *conn);
/* Output was appended: goes out at the end of the turn. */
void fio_conn_written(FioConn *conn);
/* Large bytes by reference, in order behind the output so far (fio_wire_ops.send). */
FIO_MUST_CHECK int fio_conn_send(FioConn *conn, const char *data, size_t size, PyObject *owner);
/* `size` bytes of a file behind the output so far: 0; 1: not possible here, read and copy instead;
 * -1: exception set (fio_wire_ops.send_file). */
FIO_MUST_CHECK int fio_conn_send_file(FioConn *conn, int fd, int64_t offset, size_t size);
/* True while unsent output is over the high-water mark: then await fio_conn_drained(). */
bool fio_conn_must_drain(const FioConn *conn);
/* A future that is done when output may go on; fails with ConnectionResetError on a lost one. */
FIO_MUST_CHECK PyObject *fio_conn_drained(FioConn *conn);
/* "Date: ...\r\nServer: ...\r\n", renewed once a second. */
fio_view fio_conn_common_fields(FioConn *conn);

/* -- for dispatch.c ------------------------------------------------------------------------------
 */

/* The answer to conn->request is complete; `response` (may be NULL) is for the log. */
void fio_conn_answered(FioConn *conn, PyObject *response, int status);
/* Answers the current request with a short text of our own; `text` NULL: the reason phrase. */
void fio_conn_answer_plain(FioConn *conn, int status, const char *text);
/* An answer cannot be completed: the connection is aborted and the request dropped. */
void fio_conn_fail(FioConn *conn);

/* -- inside the room -----------------------------------------------------------------------------
 */

/* The connection's wait (fio_server_wait) is over. */
void fio_conn_expired(FioConn *conn, fio_wait what);
/* Closes a connection without a request at once, lets another one finish its answer. */
void fio_conn_shut(FioConn *conn);
void fio_conn_abort(FioConn *conn);
/* Cancels the task of a handler that waits, if one does. */
void fio_conn_cancel_handler(FioConn *conn);

FIO_MUST_CHECK int fio_conn_setup_types(PyObject *module);

#endif
