#ifndef FIO_LOOP_SOCK_CALL_H
#define FIO_LOOP_SOCK_CALL_H

/* A sock_ call from inside the room: sock.c is the coroutine and its waiting, sock_calls.c what
 * each of the methods checks and asks of the kernel. */

#include "base/aio.h"
#include "base/args.h"
#include "loop/callback.h"

/* The socket and at most two arguments more. */
#define FIO_SOCK_ARGS 3

typedef struct FioSockCall FioSockCall;

typedef struct {
    fio_params params; /* the method's */
    int events;        /* what to wait for: UV_READABLE or UV_WRITABLE */
    /* Looks at the arguments before all else. 1: go on, 0: asyncio's own code has to see to it, -1:
     * exception set. */
    int (*begin)(FioSockCall *self);
    /* Makes the system call: 1 done with *result set, 0 it would block, -1 exception set. */
    int (*attempt)(FioSockCall *self, PyObject **result);
} fio_sock_operation;

extern const fio_sock_operation fio_sock_recv_operation;
extern const fio_sock_operation fio_sock_recv_into_operation;
extern const fio_sock_operation fio_sock_recvfrom_operation;
extern const fio_sock_operation fio_sock_recvfrom_into_operation;
extern const fio_sock_operation fio_sock_sendall_operation;
extern const fio_sock_operation fio_sock_sendto_operation;
extern const fio_sock_operation fio_sock_accept_operation;
extern const fio_sock_operation fio_sock_connect_operation;

/* One call, as a coroutine: nothing happens before it is awaited. */
struct FioSockCall {
    FioCoroutine super;
    FioLoop *loop; /* owned */
    const fio_sock_operation *operation;
    PyObject *args[FIO_SOCK_ARGS]; /* owned: the socket first; NULL once done */
    FioHandle *handle;             /* owned: registered for the descriptor, or NULL */
    PyObject *weakrefs;
    Py_buffer view;   /* what sock_sendall() sends, held to the end, if has_view */
    Py_ssize_t size;  /* bytes to receive */
    Py_ssize_t moved; /* bytes sent so far */
    int family;       /* of the socket, where the operation asks for it */
    bool has_view;
    bool connecting; /* connect(2) was called: its outcome is awaited */
};

/* The descriptor as it is now, or -1 with OSError set: the socket was closed. */
FIO_MUST_CHECK int fio_sock_call_fileno(FioSockCall *self);

/* Does the socket have a timeout other than 0? Such a one blocks. -1: exception set. */
FIO_MUST_CHECK int fio_sock_call_blocks(FioSockCall *self);

#endif
