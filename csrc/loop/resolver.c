/* Look-ups of names. A thread that runs no Python asks for half of what one of an executor does,
 * and is not kept waiting by a program's own calls there. As many threads are started as there are
 * questions, up to a bound; idle ones end after a while. They are detached: a name server that does
 * not answer holds up neither the end of the loop nor that of the process. */

#include "loop/resolver.h"

#include "base/addr.h"
#include "base/aio.h"
#include "base/errors.h"
#include "base/text.h"
#include "loop/report.h"
#include "loop/schedule.h"
#include "loop/threads.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

/* As many as asyncio's default executor has. */
#define RESOLVER_MORE_THREADS 4
#define RESOLVER_MOST_THREADS 32

#define RESOLVER_IDLE_NS ((uint64_t)10 * 1000 * 1000 * 1000)

/* What names of hosts and services are made of, and how long the parts of a host's are at most: for
 * others socket.getaddrinfo() is asked, or has its own errors. */
#define HOST_MAX 253
#define LABEL_MAX 63
#define SERVICE_MAX 63

typedef struct resolver_lookup {
    fio_node node;  /* in loop->lookups */
    fio_node place; /* in the queue, or in none; under the lock */
    fio_deferred answer;
    struct resolver_lookup *before; /* the one that was answered before it */
    FioLoop *loop;                  /* borrowed; not for the threads */
    PyObject *future;               /* owned; not for the threads */
    atomic_bool has_one;            /* the loop or a thread; else both have it */
    struct addrinfo hints;
    struct addrinfo *found;
    int error;        /* of getaddrinfo(3) */
    int system_error; /* errno, where that is EAI_SYSTEM */
    bool has_host;
    bool has_service;
    char host[HOST_MAX + 1];
    char service[SERVICE_MAX + 1];
} resolver_lookup;

/* Two locks, so that who is woken under one of them does not come to wait for it. */
typedef struct fio_resolver {
    int most_threads;
    uv_mutex_t lock; /* for what follows, and what is in the queue */
    uv_cond_t asked;
    fio_node queue;
    int queued;        /* how many are in the queue */
    int idle;          /* threads that wait for a question */
    atomic_int coming; /* threads that begin, or have an answer: they look for a question next */
    int threads;       /* all of them */
    int users;         /* threads, and the loop while it is open */
    bool closed;
    uv_mutex_t open_lock;            /* for the loop being open */
    FioLoop *loop;                   /* borrowed; NULL: it is closed */
    _Atomic(resolver_lookup *) done; /* the latest answer; under the lock but for being taken */
} fio_resolver;

/* -- the threads ----------------------------------------------------------------------------------
 */

static void
lookup_free(resolver_lookup *lookup)
{
    if (lookup->found != NULL) {
        freeaddrinfo(lookup->found);
    }
    PyMem_RawFree(lookup);
}

/* The loop or a thread lets go of it: the last one frees it. */
static void
lookup_release(resolver_lookup *lookup)
{
    if (atomic_exchange(&lookup->has_one, true)) {
        lookup_free(lookup);
    }
}

static void
lookup_ask(resolver_lookup *lookup)
{
    lookup->error = getaddrinfo(lookup->has_host ? lookup->host : NULL,
                                lookup->has_service ? lookup->service : NULL, &lookup->hints,
                                &lookup->found);
    lookup->system_error = errno;
}

/* Under the lock, which it lets go. */
static void
resolver_leave(fio_resolver *self)
{
    bool last = --self->users == 0;
    uv_mutex_unlock(&self->lock);
    if (last) {
        uv_cond_destroy(&self->asked);
        uv_mutex_destroy(&self->lock);
        uv_mutex_destroy(&self->open_lock);
        PyMem_RawFree(self);
    }
}

/* Under the lock: waits for a question; NULL: there will be none. */
static resolver_lookup *
resolver_wait(fio_resolver *self)
{
    int result = 0;
    while (!self->closed && self->queued == 0 && result == 0) {
        self->idle++;
        result = uv_cond_timedwait(&self->asked, &self->lock, RESOLVER_IDLE_NS);
        self->idle--;
    }
    if (self->queued == 0) {
        return NULL;
    }
    resolver_lookup *lookup = FIO_CONTAINER_OF(self->queue.next, resolver_lookup, place);
    fio_list_remove(&lookup->place);
    self->queued--;
    atomic_store(&lookup->has_one, false);
    return lookup;
}

static void
resolver_push_answer(fio_resolver *self, resolver_lookup *lookup)
{
    lookup->before = atomic_load(&self->done);
    while (!atomic_compare_exchange_weak(&self->done, &lookup->before, lookup)) {
    }
}

static void
resolver_answered(fio_resolver *self, resolver_lookup *lookup)
{
    uv_mutex_lock(&self->open_lock);
    bool open = self->loop != NULL;
    if (open) {
        atomic_store(&lookup->has_one, true);
        resolver_push_answer(self, lookup);
        fio_crossing_fill(self->loop);
    }
    uv_mutex_unlock(&self->open_lock);
    if (!open) {
        lookup_release(lookup);
    }
}

static void *
resolver_work(void *arg)
{
    fio_resolver *self = arg;
    resolver_lookup *lookup;
    uv_mutex_lock(&self->lock);
    atomic_fetch_sub(&self->coming, 1); /* of resolver_start_thread() */
    while ((lookup = resolver_wait(self)) != NULL) {
        uv_mutex_unlock(&self->lock);
        lookup_ask(lookup);
        atomic_fetch_add(&self->coming, 1);
        resolver_answered(self, lookup);
        uv_mutex_lock(&self->lock);
        atomic_fetch_sub(&self->coming, 1);
    }
    self->threads--;
    resolver_leave(self);
    return NULL;
}

/* Under the lock. Signals are for Python's threads. */
static void
resolver_start_thread(fio_resolver *self)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) {
        return;
    }
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_fetch_add(&self->coming, 1);
    if (pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0
        && pthread_create(&thread, &attr, resolver_work, self) == 0) {
        self->threads++;
        self->users++;
    }
    else {
        atomic_fetch_sub(&self->coming, 1);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
}

/* Starts the first thread; false where there is none. */
static bool
resolver_has_thread(fio_resolver *self)
{
    uv_mutex_lock(&self->lock);
    if (self->threads == 0) {
        resolver_start_thread(self);
    }
    bool has_one = self->threads > 0;
    uv_mutex_unlock(&self->lock);
    return has_one;
}

/* True where a thread will see to it. */
static bool
resolver_ask(fio_resolver *self, resolver_lookup *lookup)
{
    uv_mutex_lock(&self->lock);
    int coming = atomic_load(&self->coming);
    if (self->queued >= coming + self->idle && self->threads < self->most_threads) {
        resolver_start_thread(self);
    }
    bool taken = self->threads > 0;
    if (taken) {
        fio_list_append(&self->queue, &lookup->place);
        self->queued++;
    }
    bool wakes = self->queued > coming;
    uv_mutex_unlock(&self->lock);
    if (wakes) {
        uv_cond_signal(&self->asked);
    }
    return taken;
}

static int
resolver_init_locks(fio_resolver *self)
{
    int err = uv_mutex_init(&self->lock);
    if (err < 0) {
        return err;
    }
    err = uv_mutex_init(&self->open_lock);
    if (err == 0) {
        err = uv_cond_init(&self->asked);
        if (err < 0) {
            uv_mutex_destroy(&self->open_lock);
        }
    }
    if (err < 0) {
        uv_mutex_destroy(&self->lock);
    }
    return err;
}

static fio_resolver *
resolver_new(FioLoop *loop)
{
    fio_resolver *self = PyMem_RawCalloc(1, sizeof(fio_resolver));
    if (self == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    int err = resolver_init_locks(self);
    if (err < 0) {
        PyMem_RawFree(self);
        fio_raise_uv(err);
        return NULL;
    }
    fio_list_init(&self->queue);
    int most = (int)uv_available_parallelism() + RESOLVER_MORE_THREADS;
    self->most_threads = most < RESOLVER_MOST_THREADS ? most : RESOLVER_MOST_THREADS;
    self->loop = loop;
    self->users = 1;
    return self;
}

/* -- answers --------------------------------------------------------------------------------------
 */

/* The member of an enumeration, or the number itself where it has none (socket.getaddrinfo). */
static PyObject *
lookup_member(PyObject *members, int value)
{
    PyObject *number = PyLong_FromLong(value);
    PyObject *member = NULL;
    if (number != NULL && PyDict_GetItemRef(members, number, &member) == 0) {
        return number;
    }
    Py_XDECREF(number);
    return member;
}

static PyObject *
lookup_entry(fio_state *st, const struct addrinfo *info)
{
    PyObject *families = fio_lazy_socket_families(st);
    PyObject *kinds = families == NULL ? NULL : fio_lazy_socket_kinds(st);
    PyObject *family = kinds == NULL ? NULL : lookup_member(families, info->ai_family);
    PyObject *kind = family == NULL ? NULL : lookup_member(kinds, info->ai_socktype);
    PyObject *address = kind == NULL ? NULL : fio_addr_to_python(info->ai_addr, info->ai_addrlen);
    PyObject *entry = address == NULL
                          ? NULL
                          : Py_BuildValue("OOisO", family, kind, info->ai_protocol,
                                          info->ai_canonname == NULL ? "" : info->ai_canonname,
                                          address);
    Py_XDECREF(family);
    Py_XDECREF(kind);
    Py_XDECREF(address);
    return entry;
}

static void
lookup_raise(fio_state *st, const resolver_lookup *lookup)
{
    if (lookup->error == EAI_SYSTEM) {
        errno = lookup->system_error;
        PyErr_SetFromErrno(PyExc_OSError);
        return;
    }
    PyObject *error = fio_lazy_socket_gaierror(st);
    PyObject *args = error == NULL
                         ? NULL
                         : Py_BuildValue("is", lookup->error, gai_strerror(lookup->error));
    if (args != NULL) {
        PyErr_SetObject(error, args);
        Py_DECREF(args);
    }
}

/* What socket.getaddrinfo() returns or raises. */
static PyObject *
lookup_result(fio_state *st, const resolver_lookup *lookup)
{
    if (lookup->error != 0) {
        lookup_raise(st, lookup);
        return NULL;
    }
    PyObject *entries = PyList_New(0);
    for (const struct addrinfo *info = lookup->found; entries != NULL && info != NULL;
         info = info->ai_next) {
        PyObject *entry = lookup_entry(st, info);
        if (entry == NULL || PyList_Append(entries, entry) < 0) {
            Py_CLEAR(entries);
        }
        Py_XDECREF(entry);
    }
    return entries;
}

/* From the ready ring. */
static void
lookup_answer(fio_deferred *answer)
{
    resolver_lookup *lookup = FIO_CONTAINER_OF(answer, resolver_lookup, answer);
    FioLoop *loop = lookup->loop;
    PyObject *future = lookup->future;
    fio_list_remove(&lookup->node);
    PyObject *entries = lookup_result(loop->st, lookup);
    lookup_free(lookup);
    int settled;
    if (entries != NULL) {
        settled = fio_future_set_result(loop->st, future, entries);
        Py_DECREF(entries);
    }
    else {
        PyObject *exc = PyErr_GetRaisedException();
        settled = fio_future_set_exception(loop->st, future, exc);
        Py_DECREF(exc);
    }
    if (settled < 0) {
        fio_loop_report(loop, "Exception in a look-up's future", NULL);
    }
    Py_DECREF(future);
}

int
fio_resolver_drain(FioLoop *loop)
{
    fio_resolver *self = loop->resolver;
    if (self == NULL) {
        return 0;
    }
    resolver_lookup *latest = atomic_exchange(&self->done, NULL);
    resolver_lookup *first = NULL;
    while (latest != NULL) {
        resolver_lookup *before = latest->before;
        latest->before = first;
        first = latest;
        latest = before;
    }
    int err = 0;
    while (first != NULL) {
        resolver_lookup *next = first->before;
        err = err < 0 ? err : fio_loop_defer(loop, &first->answer);
        if (err < 0) {
            resolver_push_answer(self, first); /* for another time */
            fio_crossing_fill(loop);
        }
        first = next;
    }
    return err;
}

/* -- questions ------------------------------------------------------------------------------------
 */

/* Letters, digits, '-' and '_' in parts of a host's length: what "idna" encodes to itself. */
static bool
lookup_is_plain_host(const char *host)
{
    size_t label = 0;
    for (const char *at = host; *at != '\0'; at++) {
        if (*at == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        }
        else if (!(Py_ISALNUM(*at) || *at == '-' || *at == '_') || ++label > LABEL_MAX) {
            return false;
        }
    }
    return *host != '\0';
}

static bool
lookup_take_port(resolver_lookup *lookup, PyObject *port)
{
    lookup->has_service = port != Py_None;
    if (!PyLong_CheckExact(port)) {
        return port == Py_None || fio_text_copy(port, SERVICE_MAX, lookup->service);
    }
    int overflow;
    long number = PyLong_AsLongAndOverflow(port, &overflow);
    (void)snprintf(lookup->service, sizeof(lookup->service), "%ld", number);
    return overflow == 0;
}

static bool
lookup_take_hint(PyObject *value, int *hint)
{
    if (!PyLong_Check(value)) {
        return false;
    }
    int overflow;
    long number = PyLong_AsLongAndOverflow(value, &overflow);
    *hint = (int)number;
    return overflow == 0 && number >= INT_MIN && number <= INT_MAX;
}

/* False where socket.getaddrinfo() has to be asked, or raises. */
static bool
lookup_take(resolver_lookup *lookup, PyObject *const *args)
{
    lookup->has_host = args[0] != Py_None;
    if (lookup->has_host
        && !(fio_text_copy(args[0], HOST_MAX, lookup->host)
             && lookup_is_plain_host(lookup->host))) {
        return false;
    }
    return lookup_take_port(lookup, args[1]) && lookup_take_hint(args[2], &lookup->hints.ai_family)
           && lookup_take_hint(args[3], &lookup->hints.ai_socktype)
           && lookup_take_hint(args[4], &lookup->hints.ai_protocol)
           && lookup_take_hint(args[5], &lookup->hints.ai_flags);
}

static int
lookup_open_resolver(FioLoop *loop)
{
    if (fio_loop_check_closed(loop) < 0) {
        return -1;
    }
    if (loop->resolver == NULL) {
        loop->resolver = resolver_new(loop);
    }
    return loop->resolver == NULL ? -1 : 0;
}

/* 0, 1 where no thread could be started, or -1. */
static int
lookup_begin(FioLoop *loop, resolver_lookup *lookup, PyObject *const *args)
{
    const struct addrinfo *hints = &lookup->hints;
    lookup->future = fio_future_new(loop->st, (PyObject *)loop);
    if (lookup->future == NULL || lookup_open_resolver(loop) < 0) {
        return -1;
    }
    /* First: without one socket.getaddrinfo() is called, which raises the event, too. */
    if (!resolver_has_thread(loop->resolver)) {
        return 1;
    }
    /* A hook may close the loop or fork. */
    if (PySys_Audit("socket.getaddrinfo", "OOiii", args[0], args[1], hints->ai_family,
                    hints->ai_socktype, hints->ai_protocol)
            < 0
        || lookup_open_resolver(loop) < 0) {
        return -1;
    }
    if (!resolver_ask(loop->resolver, lookup)) {
        return 1;
    }
    fio_list_append(&loop->lookups, &lookup->node);
    return 0;
}

PyObject *
fio_resolver_look_up(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs)
{
    FIO_HOLD(loop);
    if (nargs != 6) {
        return PyErr_Format(PyExc_TypeError, "_look_up() takes 6 arguments");
    }
    resolver_lookup *lookup = PyMem_RawCalloc(1, sizeof(resolver_lookup));
    if (lookup == NULL) {
        return PyErr_NoMemory();
    }
    fio_list_init(&lookup->node);
    fio_list_init(&lookup->place);
    atomic_init(&lookup->has_one, true);
    lookup->answer.run = lookup_answer;
    lookup->loop = loop;
    int begun = lookup_take(lookup, args) ? lookup_begin(loop, lookup, args) : 1;
    if (begun == 0) {
        return Py_NewRef(lookup->future);
    }
    Py_XDECREF(lookup->future);
    lookup_free(lookup);
    if (begun < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
fio_resolver_forget(FioLoop *loop, PyObject *future)
{
    FIO_HOLD(loop);
    fio_resolver *self = loop->resolver;
    if (self == NULL) {
        Py_RETURN_NONE;
    }
    for (fio_node *node = loop->lookups.next; node != &loop->lookups; node = node->next) {
        resolver_lookup *lookup = FIO_CONTAINER_OF(node, resolver_lookup, node);
        if (lookup->future != future) {
            continue;
        }
        uv_mutex_lock(&self->lock);
        bool queued = !fio_list_is_empty(&lookup->place);
        if (queued) {
            fio_list_remove(&lookup->place);
            self->queued--;
        }
        uv_mutex_unlock(&self->lock);
        if (queued) {
            fio_list_remove(&lookup->node);
            Py_DECREF(lookup->future);
            lookup_free(lookup);
        }
        break;
    }
    Py_RETURN_NONE;
}

/* -- the loop's end -------------------------------------------------------------------------------
 */

static void
resolver_end(fio_resolver *self)
{
    uv_mutex_lock(&self->lock);
    self->closed = true;
    self->queued = 0;
    uv_cond_broadcast(&self->asked);
    uv_mutex_unlock(&self->lock);
    uv_mutex_lock(&self->open_lock);
    self->loop = NULL;
    uv_mutex_unlock(&self->open_lock);
    uv_mutex_lock(&self->lock);
    resolver_leave(self);
}

void
fio_resolver_shut(FioLoop *loop)
{
    fio_resolver *self = loop->resolver;
    if (self != NULL) {
        loop->resolver = NULL;
        resolver_end(self);
    }
    /* Without a lock: when a future goes, anything may run, also a fork. */
    while (!fio_list_is_empty(&loop->lookups)) {
        resolver_lookup *lookup = FIO_CONTAINER_OF(loop->lookups.next, resolver_lookup, node);
        PyObject *future = lookup->future;
        fio_list_remove(&lookup->node);
        fio_loop_undefer(loop, &lookup->answer);
        lookup_release(lookup);
        Py_DECREF(future);
    }
}

int
fio_resolver_fork(FioLoop *loop)
{
    int err = fio_resolver_drain(loop);
    /* Its lock may be a thread's that is not here: it can only be left as it is. What was asked and
     * not answered is the loop's alone, and stays without an answer, as with an executor. */
    loop->resolver = NULL;
    for (fio_node *node = loop->lookups.next; node != &loop->lookups; node = node->next) {
        resolver_lookup *lookup = FIO_CONTAINER_OF(node, resolver_lookup, node);
        if (!lookup->answer.queued) {
            fio_list_init(&lookup->place);
            atomic_store(&lookup->has_one, true);
            lookup->found = NULL; /* a thread may have been about to set it */
        }
    }
    return err;
}

int
fio_resolver_traverse(FioLoop *loop, visitproc visit, void *arg)
{
    for (fio_node *node = loop->lookups.next; node != &loop->lookups; node = node->next) {
        Py_VISIT(FIO_CONTAINER_OF(node, resolver_lookup, node)->future);
    }
    return 0;
}
