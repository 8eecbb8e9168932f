#ifndef FIO_LOOP_LOOP_H
#define FIO_LOOP_LOOP_H

/* The loop as the other rooms see it: the turn, deferred C calls, timers, errors on the way out.
 *
 * One turn is: the poll, due timers, the ready ring (as many entries as are there by then), the
 * turn-end list. A loop and all that hangs on it belong to the thread that runs it; only
 * fio_crossing_call() crosses. */

#include "base/context.h"
#include "base/list.h"
#include "base/state.h"

#include <uv.h>

/* Linux: descriptors stand in an epoll set of ours, and no libuv loop is run: it would abort the
 * process where a descriptor was closed by others, or where there are none left, and uv_poll_t
 * costs four system calls more a connection. FIO_WATCH_UV chooses the portable way, to test it. */
#if defined(__linux__) && !defined(FIO_WATCH_UV)
#define FIO_WATCH_EPOLL 1
#else
#define FIO_WATCH_EPOLL 0
#endif

typedef struct FioLoop FioLoop;

/* A C call put off to the ready ring, in order with call_soon()'s Python callbacks. It lives inside
 * its owner, who keeps it alive until it ran or was cancelled. */
typedef struct fio_deferred {
    void (*run)(struct fio_deferred *self);
    size_t position; /* in the ready ring, while queued */
    bool queued;     /* in the ready ring now */
} fio_deferred;

/* A C timer in the loop's heap; lives inside its owner, who cancels it before going away.
 * asyncio's TimerHandle embeds one too. */
typedef struct fio_timer {
    uint64_t order;                       /* of its start: equal times fire first in, first out */
    Py_ssize_t place;                     /* 1 + index in the heap, 0 when in none */
    void (*fire)(struct fio_timer *self); /* called once due, already out of the heap */
} fio_timer;

/* The time stands beside the pointer so that sifting seldom touches the timer itself. */
typedef struct {
    int64_t when;
    fio_timer *timer; /* borrowed: each keeps its owner alive itself */
} fio_timer_entry;

typedef struct {
    fio_timer_entry *items; /* owned */
    Py_ssize_t size;
    Py_ssize_t capacity;
    uint64_t started; /* timers started so far: the next one's order */
    uint64_t waited;  /* the same when a poll last waited, or the run began */
} fio_timer_heap;

/* An entry is an owned FioHandle, a fio_deferred marked by the lowest bit, or 0: taken back. */
typedef struct {
    uintptr_t *items; /* owned */
    size_t head;      /* position of the first entry; positions only grow, the index is masked */
    size_t count;
    size_t capacity; /* a power of two */
} fio_ready_ring;

/* What loop.metrics() reads (loop/metrics.c). Times are nanoseconds. */
typedef struct {
    uint64_t turns;
    uint64_t callbacks;  /* entries of the ready ring that were run */
    int64_t since;       /* the clock: what is before it stands in one of the next two */
    int64_t worked;      /* in callbacks, and in the loop itself */
    int64_t waited;      /* in polls that waited */
    int64_t late;        /* how late the latest timer since the last poll was */
    int64_t lag;         /* between the last poll and the one before, or `late` if more */
    int64_t lag_max;     /* since the last read */
    int64_t worked_read; /* as they were then */
    int64_t waited_read;
} fio_metrics;

/* Input that was read at the poll and waits for its turn (net/stream_ahead.c makes it). */
typedef struct fio_loop_input {
    void (*drop)(FioLoop *loop); /* forgets what has not been handed over */
} fio_loop_input;

/* Bytes of the receive slab every stream of a loop reads into when its link has no place of its
 * own: big enough that a bulk read takes few system calls. */
#define FIO_LOOP_SLAB_SIZE (256 * 1024)

/* Other threads look at these, too. */
typedef _Atomic(PyThreadState *) fio_parked;
typedef atomic_ulong fio_thread_id;

struct FioLoop {
    PyObject_HEAD
    fio_state *st;  /* borrowed: the type keeps the module alive; not to be used in deallocators */
    size_t gc_head; /* st->gc_head */
    fio_ready_ring ready;
    fio_timer_heap timers;         /* TimerHandles, by loop.time() */
    fio_timer_heap c_timers;       /* the others, by our clock, whatever time() tells */
    fio_node turn_end;             /* list of fio_turn_end nodes to run before the poll */
    fio_node turn_end_now;         /* those of them that are being run */
    struct fio_crossing *crossing; /* owned: the locked queue of call_soon_threadsafe */
    struct fio_handle_pool *pool;  /* owned: freelist of Handle objects */
    struct fio_watches *watches;   /* owned: the open watches by descriptor */
    struct fio_resolver *resolver; /* owned: threads that look names up, or NULL */
    fio_node lookups;              /* what they were asked, and is not answered yet */
    struct fio_signals *signals;   /* owned: the pipe that signals ring, or NULL */
    fio_loop_input *input;         /* owned: PyMem, or NULL */
    PyObject *fatal;               /* owned: an exception that ends run_forever(), or NULL */
    PyObject *task_factory;        /* owned or NULL */
    PyObject *aside;               /* owned or NULL: what fields do not tell (base/attr.h) */
    PyObject *current_handle;      /* owned: the Handle running now, in debug mode; or NULL */
    PyObject *kwnames_loop;        /* owned: ("loop",) */
    PyObject *latest;              /* borrowed: the last handle made outside of a run, or NULL */
    PyObject *to_end;              /* handles without references that wait to be freed, or NULL */
    unsigned int ending;           /* handles being freed on the stack */
    bool ends_waiting;             /* those that waited are being freed */
    fio_snapshot snapshot;         /* of the context of callbacks that wait */
    fio_parked parked;             /* the running thread's state while the GIL is let go */
    char *slab;                    /* owned, FIO_LOOP_SLAB_SIZE bytes, made by fio_loop_slab() */
    fio_thread_id thread_id;       /* of the running thread, 0 when not running */
    unsigned long by_hand;         /* of the thread in _run_once() or _selector.select(), or 0 */
    unsigned int nesting;          /* nested runs on the stack */
    unsigned int unpolled_turns;   /* since the last poll */
    Py_ssize_t heard;              /* watches that want events a program can tell the time of */
    fio_metrics metrics;
    fio_deferred forked; /* queued in a forked child while the parent's step is under way */
    fio_flag debug;
    fio_flag running;
    fio_flag stopping;
    fio_flag stop_called;   /* `stopping` was set by stop() */
    bool left_behind;       /* in a forked child: it was running, and has not taken a turn here */
    fio_flag allows_nested; /* fastaio.allow_nested() */
    fio_flag closed;
    fio_flag closed_by_name; /* by setting `_closed`: nothing of it is closed */
    bool ready_first;        /* the next turn goes without a poll */
    bool foreign_time;    /* time() is not ours: overridden, or set on the instance or the class */
    bool foreign_call_at; /* the same of call_at() */
    bool foreign_turn;    /* the same of _run_once() */
    bool foreign_select;  /* the same of _selector.select() */
    bool has_selector;    /* a _selector was set */
    bool guards;          /* signals ring the pipe while the loop waits, and only then (signal.c) */
    bool guarded;         /* they do now */
    unsigned int class_version;  /* of the loop's class when that was looked at (overrides.h) */
    unsigned int socket_version; /* of socket.socket when that was looked at (sock.c) */
    bool socket_plain;           /* its methods are the socket module's own */
    PyObject *found;             /* borrowed: what select() has found so far, or NULL */
#if !FIO_WATCH_EPOLL
    uv_loop_t uv;      /* its data member is the loop */
    uv_async_t wakeup; /* ends the poll from another thread */
#endif
};

FIO_MUST_CHECK int fio_loop_setup_types(PyObject *module);

/* Ends a poll that blocks, on an open loop; from any thread (loop/threads.c). */
void fio_crossing_wake(FioLoop *loop);

/* The next turn has something to do. Who comes here while the loop is in a poll is another thread:
 * it should not, but on asyncio what it asks for is done. */
void fio_loop_changed(FioLoop *loop);

/* A poll that may wait so many milliseconds (-1: without end), while other threads run Python.
 * True: one of them has ended it. */
bool fio_loop_wait(FioLoop *loop, int milliseconds);

/* The next turn does not wait. */
bool fio_loop_has_work(FioLoop *loop);

/* Around what is done with a loop that may not be running: until it is ended nobody closes it, and
 * other threads do not run it. -1: RuntimeError, one does. */
FIO_MUST_CHECK int fio_loop_begin_by_hand(FioLoop *loop, unsigned long *outer);
void fio_loop_end_by_hand(FioLoop *loop, unsigned long outer);

/* Takes the GIL back after a poll that waited. */
void fio_loop_woken(FioLoop *loop);

/* First line of what the poll calls: afterwards this thread holds the GIL. */
static inline void
fio_loop_enter(FioLoop *loop)
{
    if (loop->parked != NULL) {
        fio_loop_woken(loop);
    }
}

/* The monotonic clock, in nanoseconds, read now. */
int64_t fio_loop_now(void);

/* The turn (loop/loop.c) as the Loop type calls it. fio_loop_turn() is one turn; -1 and the
 * exception set where one ended it. */
FIO_MUST_CHECK int fio_loop_turn(FioLoop *loop);
/* The same as the type's _run_once(). */
PyObject *fio_loop_run_once(FioLoop *loop, PyObject *unused);
/* A method was called in a wrong way (base/args.h: fio_args_refuse). */
FIO_COLD PyObject *fio_loop_refuse(FioLoop *loop, const char *method, PyObject *const *args,
                                   Py_ssize_t nargs, PyObject *kwnames);
FIO_MUST_CHECK int fio_loop_open(FioLoop *loop);
FIO_MUST_CHECK int fio_loop_run(FioLoop *loop);
void fio_loop_shut(FioLoop *loop);

/* Runs the turn-end list; also from inside a turn that something cuts short (fork, a nested run).
 */
void fio_loop_run_turn_end(FioLoop *loop);

/* Forgets what was read and not yet handed over. */
static inline void
fio_loop_drop_input(FioLoop *loop)
{
    if (loop->input != NULL) {
        loop->input->drop(loop);
    }
}

/* The receive slab; NULL with MemoryError set. Its bytes are void at the next read of any stream.
 */
FIO_BORROWED char *fio_loop_slab(FioLoop *loop);

/* Keeps what was read into the slab over a call out, which may run the loop and read into another;
 * fio_loop_keep_slab() before it, fio_loop_return_slab() with what that gave (or NULL) after it. */
static inline char *
fio_loop_keep_slab(FioLoop *loop)
{
    char *slab = loop->slab;
    loop->slab = NULL;
    return slab;
}

static inline void
fio_loop_return_slab(FioLoop *loop, char *slab)
{
    if (FIO_UNLIKELY(loop->slab != NULL)) {
        PyMem_Free(slab);
    }
    else {
        loop->slab = slab;
    }
}

/* PyContext_Enter(*context) has failed, and its exception is set. In a nested run that is because a
 * callback further up the stack is in that context: enters a copy, which `*context` becomes. 0, or
 * -1 with an exception set. */
FIO_MUST_CHECK int fio_loop_reenter_context(FioLoop *loop, PyObject **context);

/* -- errors on the way out (loop/report.c) --------------------------------------------------------
 */

/* What goes into the context of call_exception_handler() beside message and exception; members may
 * be NULL. */
typedef struct {
    PyObject *protocol;
    PyObject *transport;
    PyObject *handle;
    PyObject *task;
} fio_report_context;

/* Hands the raised exception to loop.call_exception_handler({message, exception, ...}); one that
 * is no Exception (KeyboardInterrupt, SystemExit) ends run_forever() instead, which raises it.
 * Never fails; no exception is set afterwards. `about` may be NULL. */
void fio_loop_report(FioLoop *loop, const char *message, const fio_report_context *about);

/* -- ready ring (loop/ready.c) --------------------------------------------------------------------
 */

/* Runs `deferred` in the next turn; does nothing when it is queued already. -1: MemoryError. */
FIO_MUST_CHECK int fio_loop_defer(FioLoop *loop, fio_deferred *deferred);

/* Takes a queued `deferred` back. */
void fio_loop_undefer(FioLoop *loop, fio_deferred *deferred);

/* loop.call_soon(callback, arg, context=context) without a look-up: `arg` may be NULL (no
 * argument), `context` NULL (a copy of the current one). Returns the Handle. */
FIO_MUST_CHECK PyObject *fio_loop_call_soon(FioLoop *loop, PyObject *callback, PyObject *arg,
                                            PyObject *context);

/* Work to do once before the next poll (a stream's gathered output): `run` is called after the
 * ready ring of this turn, at the latest before the loop waits. The node lives inside its owner,
 * who removes it (fio_list_remove) before going away; it is out of the list when `run` is called.
 */
typedef struct fio_turn_end {
    fio_node node; /* fio_list_init() first */
    void (*run)(struct fio_turn_end *self);
} fio_turn_end;

static inline void
fio_loop_at_turn_end(FioLoop *loop, fio_turn_end *work)
{
    if (fio_list_is_empty(&work->node)) {
        fio_list_append(&loop->turn_end, &work->node);
        fio_loop_changed(loop);
    }
}

/* -- timers (loop/timer.c) ------------------------------------------------------------------------
 */

/* Starts or moves `timer` to fire at `when` (nanoseconds). -1: MemoryError. */
FIO_MUST_CHECK int fio_timer_start(FioLoop *loop, fio_timer *timer, int64_t when);

/* Takes `timer` out of the heap; nothing when it is in none. */
void fio_timer_stop(FioLoop *loop, fio_timer *timer);

/* -- descriptors (loop/watch_epoll.c, elsewhere loop/watch_uv.c) ----------------------------------
 */

/* Watches one descriptor for one owner. Zero-initialised is idle. The descriptor stays the owner's:
 * stop the watch first, then close(2). */
typedef struct fio_watch {
    FioLoop *loop; /* borrowed: the owner keeps it alive */
    /* events: UV_READABLE | UV_WRITABLE, of those watched for; on an error condition of the
     * descriptor all of these, so that the owner's next call meets the errno. Called from the ready
     * ring, behind what was in it at the poll, like an asyncio reader's handle. */
    void (*on_ready)(struct fio_watch *self, int events);
    /* NULL, or: called in the poll, runs no Python; returns the events to queue on_ready for. */
    int (*on_found)(struct fio_watch *self, int events);
    /* The owner may free itself: called once, after fio_watch_close(), in a later turn. */
    void (*on_closed)(struct fio_watch *self);
    /* NULL, or: the descriptor was closed by others, and another watch has its number now; or the
     * watch yields, and it is registered anew. */
    void (*on_displaced)(struct fio_watch *self);
    PyObject *transport; /* borrowed or NULL: named where somebody else asks for the descriptor */
    PyObject *keeps;     /* NULL, or what the watch holds a reference to, for the collector */
    int fd;
    int events;          /* what is being watched for now */
    int pending;         /* of these, what on_ready is queued for */
    bool open;           /* between fio_watch_open() and fio_watch_close() */
    bool carries_tls;    /* what the transport carries is TLS */
    bool yields;         /* add_reader() takes its place: it is no transport's, or not any more */
    bool read_elsewhere; /* by another watch of the same file: what comes in is no hangup */
    bool only_queues;    /* all on_ready does is to fill the ready ring: it is called in the poll */
    bool refused;        /* the kernel does not watch it, and who polls has not dealt with that */
    bool unheard;      /* nobody can tell in which turn on_ready is called: polls may be left out */
    fio_deferred turn; /* calls on_ready */
#if FIO_WATCH_EPOLL
    uint8_t armed;       /* the events the kernel knows of */
    uint32_t generation; /* tells our events from those of an older watch of the same number */
    fio_node link;       /* in the list of changed or of closed watches */
#else
    uv_poll_t poll;
#endif
} fio_watch;

/* The watch that the file with the number `fd` has already by that number. NULL also where it
 * cannot be known (not on epoll). */
fio_watch *fio_watch_of_file(const FioLoop *loop, int fd);

/* Begins to watch `fd` (non-blocking already) for nothing yet. 0, or -1 with OSError set. */
FIO_MUST_CHECK int fio_watch_open(FioLoop *loop, fio_watch *watch, int fd);

/* Changes what is watched for: UV_READABLE, UV_WRITABLE, both or 0. Takes effect at the next poll:
 * changes that cancel each other out cost no system call. */
void fio_watch_set(fio_watch *watch, int events);

/* Ends the watch at once (no on_ready any more; the descriptor may be closed right after) and has
 * on_closed called in a later turn, or at the latest when the loop is closed. */
void fio_watch_close(fio_watch *watch);
/* Has on_ready called as if the poll had found `events`, as far as they are wanted. */
void fio_watch_repeat(fio_watch *watch, int events);

#endif
