#ifndef FIO_LOOP_WATCH_H
#define FIO_LOOP_WATCH_H

/* Watches from inside the room: two files implement this header, one for Linux on epoll, one for
 * everywhere else on uv_poll_t. */

#include "loop/loop.h"

/* Makes loop->watches; 0, or -1 with an exception set. */
FIO_MUST_CHECK int fio_watches_open(FioLoop *loop);

/* Ends all watches that are still open, calling their on_closed, and frees loop->watches. */
void fio_watches_close(FioLoop *loop);

/* Makes sure that another thread can end a poll that waits; false: not for now. A loop that never
 * waits does without. */
bool fio_watches_reachable(FioLoop *loop);

/* Ends such a poll; from any thread. */
void fio_watches_ring(FioLoop *loop);

/* Asks the kernel and queues on_ready of what is ready. Waits at most `milliseconds` for the first
 * event, with the GIL let go: 0 not at all, -1 without end. */
void fio_watches_poll(FioLoop *loop, int milliseconds);

/* In a forked child: lets go of the kernel's set, which is shared with the parent, for one of the
 * child's own. 0, or -1 with OSError set. Where the loop was running at the fork, what the parent
 * watches is not watched here before the loop has to wait for something (or for long was busy), so
 * that a child which only ends its tasks takes none of the parent's input. */
FIO_MUST_CHECK int fio_watches_fork(FioLoop *loop, bool was_running);

/* A watch ended and its on_closed has not been called yet: do not wait long. */
bool fio_watches_closing(const FioLoop *loop);

/* The open watch of a descriptor, or NULL. */
fio_watch *fio_watch_of(const FioLoop *loop, int fd);

/* Has the kernel know now what fio_watch_set() asked for: 0, or -1 with OSError set (a regular
 * file cannot be watched: PermissionError). */
FIO_MUST_CHECK int fio_watch_commit(fio_watch *watch);

/* -- what both share (loop/watch.c) ---------------------------------------------------------------
 */

/* Of a watch that is being opened. */
void fio_watch_reset(fio_watch *watch);

/* Sets watch->events; what is queued for others is taken back. */
void fio_watch_want(fio_watch *watch, int events);

/* Takes back what is queued: for now nothing has happened. */
void fio_watch_rest(fio_watch *watch);

/* Ends `unheard`. */
void fio_watch_heed(fio_watch *watch);

/* Ends `refused`. */
void fio_watch_settle(fio_watch *watch);

/* The poll has found events that the watch wants. */
void fio_watch_happened(fio_watch *watch, int events);

/* tp_traverse of a loop: what watches keep, open ones and those whose on_closed is to come. */
int fio_watches_traverse(FioLoop *loop, visitproc visit, void *arg);

/* Calls `visit` with every open watch. */
int fio_watches_visit(FioLoop *loop, int (*visit)(fio_watch *watch, void *arg), void *arg);

#endif
