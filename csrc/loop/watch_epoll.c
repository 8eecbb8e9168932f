/* Watching descriptors on Linux: an epoll set of our own, level-triggered, with an eventfd by which
 * other threads end a wait. Changes are gathered and told to the kernel before the next poll.
 * Nobody has to be trusted: a descriptor may be closed, or closed and its number given to another
 * file, while it is watched. */

#include "loop/watch.h"

#if FIO_WATCH_EPOLL

#include "base/errors.h"
#include "loop/report.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Events taken in one poll; what is more waits for the next turn. 3 KiB of stack. */
#define WATCH_EVENTS 256

/* Milliseconds until what the kernel had no memory or no descriptor for is tried again. */
#define WATCH_RETRY 50

/* The key of the eventfd; no watch's: a descriptor is never negative. */
#define WATCH_WAKE_KEY UINT64_MAX

#define WATCH_FIRST_CAPACITY 64

/* Polls after which a forked child watches what it shares with its parent, if it did not have to
 * wait before: a moment even where callbacks are always ready. */
#define WATCH_INHERITED_POLLS 1024

struct fio_watches {
    int epoll_fd;
    uint32_t generation; /* of the last watch opened */
    uint32_t polls;      /* polls begun, and forks: what came of an older one is out of date */
    uint32_t inherited;  /* polls until a forked child watches its parent's descriptors, or 0 */
    int wake_fd;         /* the eventfd, in the set from the first poll that waits; -1 before */
    int capacity;
    fio_watch **by_fd; /* owned array of borrowed watches; NULL where none is open */
    fio_node changed;  /* watches of which the kernel is to be told */
    fio_node closed;   /* watches whose on_closed is still to be called */
};

static uint64_t
watch_key(const fio_watch *watch)
{
    return (uint64_t)watch->generation << 32 | (uint32_t)watch->fd;
}

int
fio_watches_open(FioLoop *loop)
{
    struct fio_watches *watches = PyMem_Calloc(1, sizeof(struct fio_watches));
    if (watches == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    fio_list_init(&watches->changed);
    fio_list_init(&watches->closed);
    watches->wake_fd = -1;
    watches->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (watches->epoll_fd < 0) {
        fio_raise_errno(errno);
        PyMem_Free(watches);
        return -1;
    }
    loop->watches = watches;
    return 0;
}

fio_watch *
fio_watch_of(const FioLoop *loop, int fd)
{
    const struct fio_watches *watches = loop->watches;
    return watches != NULL && fd >= 0 && fd < watches->capacity ? watches->by_fd[fd] : NULL;
}

/* A watch that is still there lost its descriptor without a word: the number is another file's now,
 * which is what the kernel would take everything said of it for. */
static void
watch_displace(fio_watch *watch)
{
    watch->armed = 0;
    fio_list_remove(&watch->link);
    fio_watch_want(watch, 0);
    watch->yields = false; /* it is too late for that */
    if (watch->on_displaced != NULL) {
        watch->on_displaced(watch);
    }
}

bool
fio_watches_reachable(FioLoop *loop)
{
    struct fio_watches *watches = loop->watches;
    if (watches->wake_fd >= 0) {
        return true;
    }
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return false; /* out of descriptors */
    }
    fio_watch *displaced = fio_watch_of(loop, fd);
    if (displaced != NULL) {
        watches->by_fd[fd] = NULL;
        watch_displace(displaced);
        if (watches->wake_fd >= 0) {
            (void)close(fd); /* its owner has run the loop */
            return true;
        }
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WATCH_WAKE_KEY};
    if (epoll_ctl(watches->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        (void)close(fd);
        return false;
    }
    watches->wake_fd = fd;
    return true;
}

void
fio_watches_ring(FioLoop *loop)
{
    const uint64_t one = 1;
    /* It fails only where others have closed it. */
    ssize_t written = write(loop->watches->wake_fd, &one, sizeof(one));
    (void)written;
}

static void
watches_end_ringing(const struct fio_watches *watches)
{
    uint64_t count = 0;
    ssize_t got = read(watches->wake_fd, &count, sizeof(count));
    (void)got;
}

static void
watches_close_wake(struct fio_watches *watches)
{
    if (watches->wake_fd >= 0) {
        (void)close(watches->wake_fd);
        watches->wake_fd = -1;
    }
}

static int
watches_reserve(struct fio_watches *watches, int fd)
{
    if (fd < watches->capacity) {
        return 0;
    }
    int capacity = watches->capacity == 0 ? WATCH_FIRST_CAPACITY : watches->capacity;
    while (capacity <= fd) {
        capacity *= 2; /* a file's number is far from INT32_MAX */
    }
    fio_watch **by_fd = watches->by_fd;
    PyMem_Resize(by_fd, fio_watch *, (size_t)capacity);
    if (by_fd == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(by_fd + watches->capacity, 0,
           (size_t)(capacity - watches->capacity) * sizeof(fio_watch *));
    watches->by_fd = by_fd;
    watches->capacity = capacity;
    return 0;
}

int
fio_watch_open(FioLoop *loop, fio_watch *watch, int fd)
{
    struct fio_watches *watches = loop->watches;
    if (fd < 0 || watches == NULL) {
        fio_raise_errno(EBADF);
        return -1;
    }
    /* A number that is no file's may be any. */
    if (fd >= watches->capacity && fcntl(fd, F_GETFD) < 0) {
        fio_raise_errno(errno);
        return -1;
    }
    if (watches_reserve(watches, fd) < 0) {
        return -1;
    }
    /* What the kernel still knows of an older file of that number does not match our generation. */
    fio_watch *displaced = watches->by_fd[fd];
    watches->by_fd[fd] = watch;
    watch->loop = loop;
    watch->fd = fd;
    fio_watch_reset(watch);
    watch->armed = 0;
    watch->generation = ++watches->generation;
    fio_list_init(&watch->link);
    watch->open = true;
    if (displaced != NULL) {
        watch_displace(displaced);
    }
    return 0;
}

static int
watch_control(const fio_watch *watch, int operation)
{
    struct epoll_event event = {
        .events = ((watch->events & UV_READABLE) != 0 ? (uint32_t)EPOLLIN : 0)
                  | ((watch->events & UV_WRITABLE) != 0 ? (uint32_t)EPOLLOUT : 0),
        .data.u64 = watch_key(watch),
    };
    return epoll_ctl(watch->loop->watches->epoll_fd, operation, watch->fd, &event) < 0 ? -errno : 0;
}

fio_watch *
fio_watch_of_file(const FioLoop *loop, int fd)
{
    fio_watch *watch = fio_watch_of(loop, fd);
    /* The kernel knows files, not numbers: it would not find another one. */
    bool same = watch != NULL && watch->armed != 0 && watch_control(watch, EPOLL_CTL_MOD) == 0;
    return same ? watch : NULL;
}

/* Tells the kernel what the watch wants, which is something: 0 or -errno. */
static int
watch_arm(fio_watch *watch)
{
    int err = watch_control(watch, watch->armed == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
    if (err == -ENOENT) {
        err = watch_control(watch, EPOLL_CTL_ADD); /* closed and opened again under us */
    }
    else if (err == -EEXIST) {
        err = watch_control(watch, EPOLL_CTL_MOD); /* known from an older watch */
    }
    watch->armed = err == 0 ? (uint8_t)watch->events : 0;
    return err;
}

/* Tells the kernel what the watch wants if it does not know: 0 or -errno. */
static int
watch_apply(fio_watch *watch)
{
    fio_list_remove(&watch->link);
    if (watch->events == watch->armed) {
        return 0;
    }
    if (watch->events != 0) {
        return watch_arm(watch);
    }
    /* It fails only where the kernel has forgotten the descriptor anyway. */
    (void)watch_control(watch, EPOLL_CTL_DEL);
    watch->armed = 0;
    return 0;
}

void
fio_watch_set(fio_watch *watch, int events)
{
    if (!watch->open || watch->events == events || fio_watch_of(watch->loop, watch->fd) != watch) {
        return;
    }
    fio_watch_want(watch, events);
    /* That nobody wants to read any more is told to the kernel only if something comes in: most
     * readers soon read on. A writable socket in contrast would end the next poll. */
    bool missing = (events & ~watch->armed) != 0;
    bool noisy = (watch->armed & ~events & UV_WRITABLE) != 0;
    if ((missing || noisy) && fio_list_is_empty(&watch->link)) {
        fio_list_append(&watch->loop->watches->changed, &watch->link);
        fio_loop_changed(watch->loop);
    }
}

int
fio_watch_commit(fio_watch *watch)
{
    int err = 0;
    if (watch->events == 0) {
        err = watch_apply(watch);
    }
    else {
        /* Also where nothing has changed: the descriptor may have been replaced since. */
        fio_list_remove(&watch->link);
        err = watch_arm(watch);
    }
    if (err < 0) {
        fio_raise_errno(-err);
        return -1;
    }
    return 0;
}

static void
watch_forget(fio_watch *watch)
{
    struct fio_watches *watches = watch->loop->watches;
    fio_watch_want(watch, 0);
    if (watches->by_fd[watch->fd] == watch) {
        watches->by_fd[watch->fd] = NULL;
        if (watch->armed != 0) {
            (void)watch_control(watch, EPOLL_CTL_DEL);
        }
    }
    watch->armed = 0;
    watch->open = false;
    fio_list_remove(&watch->link);
}

void
fio_watch_close(fio_watch *watch)
{
    if (!watch->open) {
        return;
    }
    if (watch->loop->watches != NULL) {
        watch_forget(watch);
        fio_list_append(&watch->loop->watches->closed, &watch->link);
        return;
    }
    /* A displaced watch that has outlived the loop's end. */
    watch->open = false;
    if (watch->on_closed != NULL) {
        watch->on_closed(watch);
    }
}

static void
watches_call_closed(struct fio_watches *watches)
{
    while (!fio_list_is_empty(&watches->closed)) {
        fio_watch *watch = FIO_CONTAINER_OF(watches->closed.next, fio_watch, link);
        fio_list_remove(&watch->link);
        if (watch->on_closed != NULL) {
            watch->on_closed(watch);
        }
    }
}

bool
fio_watches_closing(const FioLoop *loop)
{
    return !fio_list_is_empty(&loop->watches->closed);
}

void
fio_watches_close(FioLoop *loop)
{
    struct fio_watches *watches = loop->watches;
    if (watches == NULL) {
        return;
    }
    /* Owners may close other watches, or free what they are part of. */
    for (int fd = 0; fd < watches->capacity; fd++) {
        if (watches->by_fd[fd] != NULL) {
            fio_watch_close(watches->by_fd[fd]);
            watches_call_closed(watches);
        }
    }
    watches_call_closed(watches);
    loop->watches = NULL;
    watches_close_wake(watches);
    (void)close(watches->epoll_fd);
    PyMem_Free(watches->by_fd);
    PyMem_Free(watches);
}

int
fio_watches_visit(FioLoop *loop, int (*visit)(fio_watch *watch, void *arg), void *arg)
{
    struct fio_watches *watches = loop->watches;
    int result = 0;
    for (int fd = 0; watches != NULL && fd < watches->capacity && result == 0; fd++) {
        if (watches->by_fd[fd] != NULL) {
            result = visit(watches->by_fd[fd], arg);
        }
    }
    return result;
}

int
fio_watches_traverse(FioLoop *loop, visitproc visit, void *arg)
{
    struct fio_watches *watches = loop->watches;
    if (watches == NULL || loop->running) {
        return 0; /* a running loop is alive, and all that it watches */
    }
    for (int fd = 0; fd < watches->capacity; fd++) {
        if (watches->by_fd[fd] != NULL) {
            Py_VISIT(watches->by_fd[fd]->keeps);
        }
    }
    for (fio_node *node = watches->closed.next; node != &watches->closed; node = node->next) {
        Py_VISIT(FIO_CONTAINER_OF(node, fio_watch, link)->keeps);
    }
    return 0;
}

void
fio_watch_settle(fio_watch *watch)
{
    if (FIO_UNLIKELY(watch->refused)) {
        watch->refused = false;
        fio_list_remove(&watch->link);
    }
}

/* Tells the kernel of all changes; true if some have to be tried again soon. */
static bool
watches_apply(FioLoop *loop)
{
    struct fio_watches *watches = loop->watches;
    fio_node again;
    fio_list_init(&again);
    while (!fio_list_is_empty(&watches->changed)) {
        fio_watch *watch = FIO_CONTAINER_OF(watches->changed.next, fio_watch, link);
        watch->refused = false;
        int err = watch_apply(watch);
        if (err == -ENOMEM || err == -ENOSPC) {
            fio_list_append(&again, &watch->link);
        }
        else if (err < 0) {
            if (FIO_UNLIKELY(loop->found != NULL)) {
                watch->refused = true; /* told of in every poll */
                fio_list_append(&again, &watch->link);
            }
            fio_watch_happened(watch, watch->events); /* the owner's next call meets the errno */
        }
    }
    bool retry = !fio_list_is_empty(&again);
    while (!fio_list_is_empty(&again)) {
        fio_node *node = again.next;
        fio_list_remove(node);
        fio_list_append(&watches->changed, node);
    }
    return retry;
}

static void
watches_dispatch_one(FioLoop *loop, const struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64;
    fio_watch *watch = fio_watch_of(loop, fd);
    if (watch == NULL || watch_key(watch) != event->data.u64) {
        if (watch == NULL && fd != loop->watches->wake_fd) {
            /* Left behind by a watch that was displaced; fails where the file is gone. */
            (void)epoll_ctl(loop->watches->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        }
        return;
    }
    int events = ((event->events & EPOLLIN) != 0 ? UV_READABLE : 0)
                 | ((event->events & EPOLLOUT) != 0 ? UV_WRITABLE : 0);
    if ((event->events & ~(uint32_t)(EPOLLIN | EPOLLOUT)) != 0) {
        events = UV_READABLE | UV_WRITABLE; /* selectors.EpollSelector.select */
    }
    events &= watch->events;
    if (events == 0) {
        (void)watch_apply(watch); /* nobody wants it: only takes something away */
        return;
    }
    fio_watch_happened(watch, events);
}

/* -1 is without end. */
static int
watch_wait_at_most(int milliseconds, int limit)
{
    return milliseconds < 0 || milliseconds > limit ? limit : milliseconds;
}

int
fio_watches_fork(FioLoop *loop, bool was_running)
{
    struct fio_watches *watches = loop->watches;
    /* First let go: there is room for the new one then. */
    (void)close(watches->epoll_fd);
    watches->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watches_close_wake(watches);
    watches->polls++;
    for (int fd = 0; fd < watches->capacity; fd++) {
        if (watches->by_fd[fd] != NULL) {
            watches->by_fd[fd]->armed = 0;
            fio_watch_rest(watches->by_fd[fd]); /* it is the parent's to deal with */
        }
    }
    watches->inherited = was_running ? WATCH_INHERITED_POLLS : 1;
    if (watches->epoll_fd < 0) {
        fio_raise_errno(errno);
        return -1;
    }
    return 0;
}

/* In a forked child, before it polls: has the new set watch what the parent watched. */
static void
watches_inherit(struct fio_watches *watches, int milliseconds)
{
    if (--watches->inherited > 0 && milliseconds == 0) {
        return;
    }
    watches->inherited = 0;
    for (int fd = 0; fd < watches->capacity; fd++) {
        fio_watch *watch = watches->by_fd[fd];
        if (watch != NULL && watch->events != watch->armed && fio_list_is_empty(&watch->link)) {
            fio_list_append(&watches->changed, &watch->link);
        }
    }
}

void
fio_watches_poll(FioLoop *loop, int milliseconds)
{
    struct fio_watches *watches = loop->watches;
    struct epoll_event events[WATCH_EVENTS];

    watches_call_closed(watches);
    if (FIO_UNLIKELY(watches->inherited > 0)) {
        watches_inherit(watches, milliseconds);
    }
    if (!fio_list_is_empty(&watches->changed) && watches_apply(loop)) {
        milliseconds = watch_wait_at_most(milliseconds, WATCH_RETRY);
    }
    bool found = loop->found != NULL && PyList_GET_SIZE(loop->found) > 0;
    if (loop->ready.count > 0 || FIO_UNLIKELY(found)) {
        milliseconds = 0; /* something failed to be watched */
    }
    int count = 0;
    int err = 0;
    if (milliseconds == 0) {
        count = epoll_wait(watches->epoll_fd, events, WATCH_EVENTS, 0);
        err = count < 0 ? errno : 0;
    }
    else {
        loop->parked = PyEval_SaveThread();
        count = epoll_wait(watches->epoll_fd, events, WATCH_EVENTS, milliseconds);
        err = count < 0 ? errno : 0;
        fio_loop_enter(loop);
    }
    if (FIO_UNLIKELY(err != 0) && err != EINTR) { /* at which the caller looks after signals */
        fio_raise_errno(err);                     /* others have closed the set */
        fio_report_fatal(loop);
    }
    /* What is left when a callback has polled itself (a nested run), or is in a forked child now,
     * is found again if still true. */
    uint32_t polls = ++watches->polls;
    for (int i = 0; i < count && loop->fatal == NULL && watches->polls == polls; i++) {
        if (events[i].data.u64 == WATCH_WAKE_KEY) {
            watches_end_ringing(watches);
        }
        else {
            watches_dispatch_one(loop, &events[i]);
        }
    }
}

#endif
