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

typedef struct FioServer FioServer;

typedef struct FioConn {
    FioLink super;
    FioServer *server;   /* owned */
    fio_wire *wire;      /* borrowed: valid between connected() and lost() */
    PyObject *transport; /* owned: its asyncio.Transport, NULL once lost */
    PyObject *loop;      /* owned */
    fio_parser *parser;  /* of the server's pool while a request is being read, else NULL */
    fio_buf pending;     /* bytes read and not parsed yet: a split head, pipelined requests */
    FioRequest *request; /* owned: the one being read or handled, or NULL */
    PyObject *task;      /* owned: the Task of a handler that suspended, or NULL */
    fio_node idle;       /* place in the server's deadline list */
    int64_t deadline;    /* nanoseconds; what runs out then is said by `phase` */
    uint8_t phase;       /* private to conn.c */
    bool keep_alive;     /* after the current answer */
    bool body_unread;    /* of the current request: has to be drained or the connection closed */
    uint64_t served;     /* requests answered */
} FioConn;

/* -- for response.c: the answer to conn->request --------------------------------------------------
 */

/* Where answers are appended; then fio_conn_written(). NULL when the connection is lost. */
fio_buf *fio_conn_output(FioConn *conn);
/* Output was appended: goes out at the end of the turn. */
void fio_conn_written(FioConn *conn);
/* Large bytes by reference, in order behind the output so far (fio_wire_ops.send). */
FIO_MUST_CHECK int fio_conn_send(FioConn *conn, const char *data, size_t size, PyObject *owner);
/* True while unsent output is over the high-water mark: then await fio_conn_drained(). */
bool fio_conn_must_drain(const FioConn *conn);
/* A future that is done when output may go on; fails with ConnectionResetError on a lost one. */
FIO_MUST_CHECK PyObject *fio_conn_drained(FioConn *conn);
/* "Date: ...\r\nServer: ...\r\n", renewed once a second. */
fio_view fio_conn_common_fields(FioConn *conn);

FIO_MUST_CHECK int fio_conn_setup_types(PyObject *module);

#endif
