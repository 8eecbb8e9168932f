#ifndef FIO_LOOP_RESOLVER_H
#define FIO_LOOP_RESOLVER_H

/* Names looked up by getaddrinfo(3) in threads of the loop's own, which run no Python. */

#include "loop/loop.h"

/* loop._look_up(host, port, family, type, proto, flags): a future of what socket.getaddrinfo()
 * returns, or None where that function itself has to be asked. */
PyObject *fio_resolver_look_up(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs);

/* loop._forget_look_up(future): its question is not asked any more, if nobody has asked it yet. */
PyObject *fio_resolver_forget(FioLoop *loop, PyObject *future);

/* Has the answers that have come in handed over in the next turn. -1: MemoryError. */
FIO_MUST_CHECK int fio_resolver_drain(FioLoop *loop);

/* Drops what has not been answered; threads that still wait for an answer end by themselves. */
void fio_resolver_shut(FioLoop *loop);

/* In a forked child, which has none of the threads: forgets them. What they have answered is handed
 * over here too. -1: MemoryError. */
FIO_MUST_CHECK int fio_resolver_fork(FioLoop *loop);

int fio_resolver_traverse(FioLoop *loop, visitproc visit, void *arg);

#endif
