#ifndef FIO_SERVER_CONN_PARTS_H
#define FIO_SERVER_CONN_PARTS_H

/* What the files of a connection share: conn.c (its life and waits), conn_read.c (bytes to
 * requests), conn_answer.c (answers and ends), py_conn.c (the Python type). */

#include "server/conn.h"

enum {
    FIO_PHASE_HEAD,     /* no request, or one whose head is not complete */
    FIO_PHASE_BODY,     /* a request's body is being fed to it, its handler runs */
    FIO_PHASE_HANDLING, /* a request was read as a whole, its handler runs */
    FIO_PHASE_DRAIN,    /* answered; the rest of its body is read and thrown away */
    FIO_PHASE_LINGER,   /* the last answer is out; input is thrown away until the peer closes */
    FIO_PHASE_CLOSED,   /* closing, or handed over to another protocol */
};

/* Reasons to pause reading. */
enum {
    FIO_PAUSE_BODY = 1,     /* the application reads a body too slowly */
    FIO_PAUSE_PIPELINE = 2, /* too much was sent ahead */
};

/* Body bytes that are read and thrown away after an answer so that the connection can be used
 * again; with more to come, a new connection is cheaper for both. */
#define FIO_DRAIN_BYTES ((uint64_t)256 * 1024)

/* Works on `data`, or puts it by. */
void fio_conn_read(FioConn *conn, const char *data, size_t size);
/* Goes on with what was put by. */
void fio_conn_read_pending(FioConn *conn);
/* The body of the current request will not come: its reader and the answer learn of `status`
 * (FIO_E*). `exc` may be NULL: a ValueError with `reason`. */
void fio_conn_body_failed(FioConn *conn, int status, PyObject *exc, const char *reason);

/* Gives conn->heir what was put by, and behind it `rest`. */
void fio_conn_give_rest(FioConn *conn, fio_view rest);

/* Gives back what reading a head took. */
void fio_conn_drop_parser(FioConn *conn);
/* The connection and its current request part; a body that is not complete fails. */
void fio_conn_drop_request(FioConn *conn);
/* Refuses a request before its handler was called. `status` is 400 to 599. */
void fio_conn_refuse(FioConn *conn, int status, const char *reason);
/* Closes once all output is out. */
void fio_conn_close(FioConn *conn);
/* Closes after the peer had time to read our last answer: closing at once with input unread makes
 * the kernel reset the connection, and the answer is lost (RFC 9112 9.6). */
void fio_conn_linger(FioConn *conn);
void fio_conn_pause(FioConn *conn, uint8_t reason, bool pause);
/* Begins the wait that the state of the connection asks for. */
void fio_conn_settle(FioConn *conn);
/* Goes on with `pending` in the next turn. */
void fio_conn_resume_soon(FioConn *conn);

/* ServerProtocol._resume(): fio_conn_resume_soon() on a loop that is not ours. */
PyObject *fio_conn_py_resume(FioConn *conn, PyObject *ignored);

extern const fio_link_ops fio_conn_link_ops;
extern const fio_body_ops fio_conn_body_ops;

#endif
