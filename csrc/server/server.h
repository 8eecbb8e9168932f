#ifndef FIO_SERVER_SERVER_H
#define FIO_SERVER_SERVER_H

/* What the connections of one application on one loop share: the configuration, the set of open
 * connections, their deadlines, the Date and Server lines, memory used again, counters and the log.
 * It opens no socket: loop.create_server() with ServerProtocol(server) as protocol does. */

#include "base/list.h"
#include "http/parser.h"
#include "loop/loop.h"
#include "server/access.h"
#include "server/router.h"

struct FioConn;

/* What a connection waits for. Each has one time-out for all connections, so a list in the order of
 * setting is also in the order of running out, and setting costs no search. */
typedef enum {
    FIO_WAIT_HEAD,  /* for a complete request head: 408 */
    FIO_WAIT_IDLE,  /* for the next request: closed without a word */
    FIO_WAIT_BODY,  /* for more of a request's body: 408, or the connection aborted */
    FIO_WAIT_WRITE, /* for the peer to take output: aborted */
    FIO_WAIT_CLOSE, /* for the peer to close after our last answer: aborted */
    FIO_WAITS,
    FIO_WAIT_NONE = FIO_WAITS,
} fio_wait;

/* "Date: ...\r\nServer: ...\r\n": the date line and a name of at most 128 bytes. */
#define FIO_COMMON_SIZE 192
/* Parsers kept for the next request. */
#define FIO_PARSERS_KEPT 16

typedef struct FioServer {
    PyObject_HEAD
    fio_state *st;     /* borrowed: the type keeps the module alive */
    PyObject *loop;    /* owned: of the connections; NULL before the first one */
    FioLoop *own_loop; /* borrowed from `loop`: where that is ours, else NULL */
    PyObject *context; /* owned: what deferred work runs in on a loop that is not ours */

    PyObject *handler;          /* owned or NULL: for all requests, where there is no router */
    FioRouter *router;          /* owned or NULL */
    PyTypeObject *request_type; /* owned: RequestType or a subtype */
    PyObject *finish;           /* owned or NULL: async finish(request, response) */
    PyObject *logger;           /* owned or NULL: logging.getLogger("fastaio.server") */
    fio_limits limits;
    uint64_t client_max_size;  /* bytes request.read() gives at most; 0: no limit */
    uint32_t max_pipelined;    /* requests of one connection handled in one turn of the loop */
    bool handler_cancellation; /* a client that goes away cancels its handler */
    bool debug;                /* a failing handler's traceback is in the answer */
    bool has_task_factory;     /* of a loop not ours, when the last connection was made */
    bool shutting_down;        /* no connection is kept alive any more */

    fio_node connections; /* of FioConn.member */
    size_t connection_count;
    PyObject *empty_waiter;      /* owned or NULL: a future, done once no connection is left */
    fio_node waits[FIO_WAITS];   /* of FioConn.waiting, in the order of their deadlines */
    int64_t timeouts[FIO_WAITS]; /* nanoseconds; 0: none */
    fio_timer timer;             /* at or before the first deadline; holds a reference */
    PyObject *timer_handle;      /* owned or NULL: the same on a loop that is not ours */
    int64_t timer_when;          /* nanoseconds; 0 while no timer is set */

    fio_parser *parsers[FIO_PARSERS_KEPT]; /* owned */
    size_t parser_count;
    PyObject *stand_in; /* owned or NULL: a HandlerTask never touched, for the next handler */

    int64_t common_second; /* of common: Unix time */
    size_t common_size;
    char common[FIO_COMMON_SIZE];
    char server_line[FIO_COMMON_SIZE]; /* "Server: name\r\n" or empty */

    fio_access access;
    int64_t complained;    /* nanoseconds: when a bad request was logged last */
    uint64_t uncomplained; /* bad requests since then that were not logged */
    FIO_MONITOR_FIELD      /* the loop */
} FioServer;

/* Handlers' tasks are made by loop.set_task_factory()'s function. */
static inline bool
fio_server_has_task_factory(const FioServer *server)
{
    if (server->own_loop == NULL) {
        return server->has_task_factory;
    }
    return server->own_loop->task_factory != NULL && server->own_loop->task_factory != Py_None;
}

/* Takes the running loop for its own when it has none yet; another loop than before is refused.
 * 0, or -1 with an exception set. */
FIO_MUST_CHECK int fio_server_bind(FioServer *server);

/* A connection joins the set / leaves it. */
void fio_server_join(FioServer *server, struct FioConn *conn);
void fio_server_leave(FioServer *server, struct FioConn *conn);
/* Leaves without a call of Python, for a connection that is garbage. True: it was the last. */
bool fio_server_unlink(FioServer *server, struct FioConn *conn);

/* Starts a connection's wait for `what` anew, in place of the one it was in. */
void fio_server_wait(FioServer *server, struct FioConn *conn, fio_wait what);

/* Memory for a parser, not started. NULL with MemoryError set. */
FIO_MUST_CHECK fio_parser *fio_server_parser_take(FioServer *server);
void fio_server_parser_give(FioServer *server, fio_parser *parser);

/* The Date and Server lines of this second. */
fio_view fio_server_common(FioServer *server);

/* logger.error(message, exc_info=exc); exc is a normalised exception. Never raises. */
void fio_server_log_exception(FioServer *server, const char *message, PyObject *exc);
/* One line for a request that was refused; not more than one a second. Never raises. */
void fio_server_log_refused(FioServer *server, struct FioConn *conn, int status,
                            const char *reason);

/* Server._tick(): the timer of a loop that is not ours. */
PyObject *fio_server_tick(FioServer *server, PyObject *ignored);

FIO_MUST_CHECK int fio_server_setup_types(PyObject *module);

#endif
