/* add_reader(), add_writer() and their opposites: one watch a descriptor, shared by its reader and
 * its writer, each a Handle that goes to the ready ring whenever the descriptor is ready. Follows
 * asyncio.selector_events, with the errors of selectors.EpollSelector. */

#include "loop/readers.h"

#include "base/args.h"
#include "base/errors.h"
#include "loop/ready.h"
#include "loop/report.h"
#include "loop/schedule.h"
#include "loop/watch.h"

typedef struct {
    fio_watch watch;
    PyObject *file;    /* owned: what was given as the descriptor, perhaps closed by now */
    FioHandle *reader; /* owned or NULL */
    FioHandle *writer; /* owned or NULL */
} fio_poller;

/* What is about reading and what is about writing differ in this only. */
typedef struct {
    fio_params add;
    fio_params remove;
    const char *add_unchecked; /* the name of asyncio's own */
    size_t slot;               /* offset of the handle in fio_poller */
} readers_side;

static const char *const readers_add_names[] = {"fd", "callback", NULL};
static const char *const readers_remove_names[] = {"fd", NULL};
static const char *const readers_context_names[] = {"context", NULL};

static const readers_side reading_side = {
    .add = {"add_reader", readers_add_names, 2, 2},
    .remove = {"remove_reader", readers_remove_names, 1, 1},
    .add_unchecked = "_add_reader",
    .slot = offsetof(fio_poller, reader),
};

static const readers_side writing_side = {
    .add = {"add_writer", readers_add_names, 2, 2},
    .remove = {"remove_writer", readers_remove_names, 1, 1},
    .add_unchecked = "_add_writer",
    .slot = offsetof(fio_poller, writer),
};

static FioHandle **
poller_slot(fio_poller *self, const readers_side *side)
{
    return (FioHandle **)((char *)self + side->slot);
}

/* What stands for a file, as a number, which may be negative or too large: *number. -1: exception
 * set. */
static int
readers_number(PyObject *file, long *number)
{
    if (PyLong_Check(file)) {
        int beyond = 0;
        *number = PyLong_AsLongAndOverflow(file, &beyond);
        *number = beyond > 0 ? LONG_MAX : *number;
        return *number == -1 && PyErr_Occurred() ? -1 : 0;
    }
    PyObject *returned = PyObject_CallMethod(file, "fileno", NULL);
    PyObject *integer = returned == NULL ? NULL : PyNumber_Long(returned);
    Py_XDECREF(returned);
    *number = integer == NULL ? -1 : PyLong_AsLong(integer);
    Py_XDECREF(integer);
    if (!PyErr_Occurred()) {
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_TypeError)
        || PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Format(PyExc_ValueError, "Invalid file object: %R", file);
    }
    return -1;
}

/* The descriptor of an int or of an object with fileno(); -1 with ValueError set. */
static int
readers_fileno(PyObject *file)
{
    long fd = -1;
    if (readers_number(file, &fd) < 0) {
        return -1;
    }
    if (fd < 0) {
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %ld", fd);
        return -1;
    }
    if (fd > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "Python int too large to convert to C int");
        return -1;
    }
    return (int)fd;
}

/* -- the poller of a descriptor -------------------------------------------------------------------
 */

static void
poller_queue(fio_poller *self, FioHandle *handle)
{
    if (fio_ready_push(&self->watch.loop->ready, (uintptr_t)Py_NewRef((PyObject *)handle)) < 0) {
        Py_DECREF(handle);
        PyErr_Clear(); /* no memory: the poll finds it again */
    }
}

static void poller_drop(fio_poller *self, FioHandle **slot);
static fio_poller *poller_of(FioLoop *loop, int fd);

/* A registered handle whose event has come; true: it was cancelled, and has to be dropped. */
static bool
poller_hand_over(fio_poller *self, FioHandle *handle)
{
    if (handle == NULL || handle->cancelled) {
        return handle != NULL;
    }
    poller_queue(self, handle);
    return false;
}

static void
poller_on_ready(fio_watch *watch, int events)
{
    fio_poller *self = FIO_CONTAINER_OF(watch, fio_poller, watch);
    FioLoop *loop = watch->loop;
    int fd = watch->fd;
    /* asyncio: selector_events._process_events */
    bool reader = (events & UV_READABLE) != 0 && poller_hand_over(self, self->reader);
    bool writer = (events & UV_WRITABLE) != 0 && poller_hand_over(self, self->writer);
    if (reader) {
        poller_drop(self, &self->reader);
        if (poller_of(loop, fd) != self) {
            return; /* what was dropped has run code that ended us */
        }
    }
    if (writer && self->writer != NULL && self->writer->cancelled) {
        poller_drop(self, &self->writer);
    }
}

static void
poller_on_closed(fio_watch *watch)
{
    fio_poller *self = FIO_CONTAINER_OF(watch, fio_poller, watch);
    Py_CLEAR(self->reader);
    Py_CLEAR(self->writer);
    Py_CLEAR(self->file);
    PyMem_Free(self);
}

static void
poller_on_displaced(fio_watch *watch)
{
    /* The registrations went with their file, as an epoll set drops them. */
    fio_watch_close(watch);
}

static fio_poller *
poller_of(FioLoop *loop, int fd)
{
    fio_watch *watch = fio_watch_of(loop, fd);
    if (watch == NULL || watch->on_ready != poller_on_ready) {
        return NULL;
    }
    return FIO_CONTAINER_OF(watch, fio_poller, watch);
}

static int
poller_events(const fio_poller *self)
{
    return (self->reader != NULL ? UV_READABLE : 0) | (self->writer != NULL ? UV_WRITABLE : 0);
}

static void
poller_update(fio_poller *self)
{
    int events = poller_events(self);
    if (events == 0) {
        fio_watch_close(&self->watch);
    }
    else {
        fio_watch_set(&self->watch, events);
    }
}

/* Ends one of the two registrations, and the watch with the last one. */
static void
poller_drop(fio_poller *self, FioHandle **slot)
{
    FioHandle *handle = *slot;
    *slot = NULL;
    PyObject *file = NULL;
    if (poller_events(self) == 0) {
        file = self->file; /* until the watch is closed nobody would find it there */
        self->file = NULL;
    }
    poller_update(self);
    if (fio_handle_cancel(handle) < 0) {
        PyErr_WriteUnraisable((PyObject *)handle);
    }
    Py_DECREF(handle);
    Py_XDECREF(file);
}

static fio_poller *
poller_new(FioLoop *loop, int fd, PyObject *file)
{
    fio_poller *self = PyMem_Calloc(1, sizeof(fio_poller));
    if (self == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    self->watch.on_ready = poller_on_ready;
    self->watch.only_queues = true;
    self->watch.on_closed = poller_on_closed;
    self->watch.on_displaced = poller_on_displaced;
    if (fio_watch_open(loop, &self->watch, fd) < 0) {
        PyMem_Free(self);
        return NULL;
    }
    self->file = Py_NewRef(file);
    return self;
}

/* -- methods --------------------------------------------------------------------------------------
 */

static int
readers_refuse(PyObject *file, PyObject *transport)
{
    /* Kept: the file's own repr() may end it. */
    PyObject *kept = transport != NULL && fio_try_ref(transport) ? transport : Py_NewRef(Py_None);
    PyErr_Format(PyExc_RuntimeError, "File descriptor %R is used by transport %R", file, kept);
    Py_DECREF(kept);
    return -1;
}

static bool
watch_is_taken(const fio_watch *watch)
{
    return watch != NULL && watch->on_ready != poller_on_ready && !watch->yields;
}

/* Is the descriptor one of a transport written in Python on add_reader()? */
static int
readers_check_transports(FioLoop *loop, PyObject *file, int fd)
{
    PyObject *transport = PyObject_CallMethod((PyObject *)loop, "_transport_of", "i", fd);
    int result = transport == NULL ? -1 : 0;
    if (transport != NULL && transport != Py_None) {
        result = readers_refuse(file, transport);
    }
    Py_XDECREF(transport);
    return result;
}

/* Whether a transport has begun to close; an error counts as no. */
static bool
readers_is_closing(PyObject *transport)
{
    if (!fio_try_ref(transport)) {
        return true;
    }
    PyObject *closing = PyObject_CallMethod(transport, "is_closing", NULL);
    Py_DECREF(transport);
    if (closing == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(closing);
    return closing == Py_True;
}

static int
readers_check_free(FioLoop *loop, PyObject *file)
{
    long number = -1;
    if (readers_number(file, &number) < 0) {
        return -1;
    }
    if (number < 0 || number > INT_MAX) {
        return 0; /* asyncio: nobody's; only what is no file at all is an error here */
    }
    int fd = (int)number;
    const fio_watch *watch = fio_watch_of(loop, fd);
    if (watch_is_taken(watch)) {
        return readers_refuse(file, watch->transport);
    }
    if (watch != NULL && watch->events == 0) {
        return 0; /* left by a sock_ call: nobody's, and soon the next one's */
    }
    return readers_check_transports(loop, file, fd);
}

PyObject *
fio_readers_ensure_no_transport(FioLoop *loop, PyObject *file)
{
    FIO_HOLD(loop);
    int fd = readers_fileno(file);
    if (fd < 0) {
        PyErr_Clear(); /* reported below */
    }
    const fio_watch *watch = fio_watch_of(loop, fd);
    if (watch != NULL && watch->transport != NULL && readers_is_closing(watch->transport)) {
        Py_RETURN_NONE; /* another transport may follow it on the same socket */
    }
    if (readers_check_free(loop, file) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The handle takes its place beside or instead of what is registered; `handle` is borrowed.
 * Returns the descriptor. */
static int
readers_register(FioLoop *loop, PyObject *file, FioHandle *handle, const readers_side *side)
{
    int fd = readers_fileno(file);
    if (fd < 0) {
        return -1;
    }
    fio_watch *watch = fio_watch_of(loop, fd);
    if (watch_is_taken(watch)) {
        return readers_refuse(file, watch->transport);
    }
    if (watch != NULL && watch->yields) {
        watch->on_displaced(watch);
        watch = NULL;
    }
    fio_poller *self = watch != NULL ? poller_of(loop, fd) : poller_new(loop, fd, file);
    if (self == NULL) {
        return -1;
    }
    if (self->file == NULL) {
        self->file = Py_NewRef(file); /* the first, as asyncio's selector keeps it */
    }
    FioHandle **slot = poller_slot(self, side);
    FioHandle *old = *slot;
    *slot = (FioHandle *)Py_NewRef((PyObject *)handle);
    poller_update(self);
    if (fio_watch_commit(&self->watch) < 0) {
        /* As before, with the error for the caller. */
        *slot = old;
        Py_DECREF(handle);
        poller_update(self);
        return -1;
    }
    int cancelled = old == NULL ? 0 : fio_handle_cancel(old);
    Py_XDECREF(old);
    return cancelled < 0 ? -1 : fd;
}

static PyObject *
readers_add(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *context,
            const readers_side *side)
{
    if (fio_loop_check_closed(loop) < 0) {
        return NULL;
    }
    const fio_call call = {
        .callback = args[1],
        .args = args + 2,
        .nargs = nargs - 2,
        .context = context,
    };
    PyObject *handle = fio_handle_new(loop, &call);
    if (handle == NULL) {
        return NULL;
    }
    fio_handle_track(handle);
    if (readers_register(loop, args[0], (FioHandle *)handle, side) < 0) {
        Py_CLEAR(handle);
    }
    return handle;
}

/* add_reader() or add_writer(): all by position, or two arguments in any way. */
static PyObject *
readers_add_checked(FioLoop *loop, const readers_side *side, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(loop);
    PyObject *named[2] = {NULL, NULL};
    if (kwnames != NULL || nargs < 2) {
        if (fio_args_parse(&side->add, args, nargs, kwnames, named) < 0) {
            return fio_loop_refuse(loop, side->add.function, args, nargs, kwnames);
        }
        args = named;
        nargs = 2;
    }
    if (readers_check_free(loop, args[0]) < 0) {
        return NULL;
    }
    PyObject *handle = readers_add(loop, args, nargs, NULL, side);
    if (handle == NULL) {
        return NULL;
    }
    Py_DECREF(handle);
    Py_RETURN_NONE;
}

/* asyncio's own transports give the context of theirs by name, from Python 3.15 on. */
static PyObject *
readers_add_unchecked(FioLoop *loop, const readers_side *side, PyObject *const *args,
                      Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(loop);
    PyObject *context = NULL;
    if (nargs < 2) {
        return fio_loop_refuse(loop, side->add_unchecked, args, nargs, kwnames);
    }
    if (kwnames != NULL) {
        const fio_params params = {side->add_unchecked, readers_context_names, 0, 0};
        if (fio_args_parse(&params, args + nargs, 0, kwnames, &context) < 0) {
            return NULL;
        }
        context = context == Py_None ? NULL : context;
    }
    return readers_add(loop, args, nargs, context, side);
}

PyObject *
fio_readers_add_reader(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return readers_add_checked(loop, &reading_side, args, nargs, kwnames);
}

PyObject *
fio_readers_add_writer(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return readers_add_checked(loop, &writing_side, args, nargs, kwnames);
}

PyObject *
fio_readers_add_reader_unchecked(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames)
{
    return readers_add_unchecked(loop, &reading_side, args, nargs, kwnames);
}

PyObject *
fio_readers_add_writer_unchecked(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames)
{
    return readers_add_unchecked(loop, &writing_side, args, nargs, kwnames);
}

/* (fd, events, file, reader, writer) of a watch. */
static PyObject *
readers_describe(fio_watch *watch)
{
    const fio_poller *self = watch->on_ready == poller_on_ready
                                 ? FIO_CONTAINER_OF(watch, fio_poller, watch)
                                 : NULL;
    bool has_file = self != NULL && self->file != NULL;
    PyObject *file = has_file ? Py_NewRef(self->file) : PyLong_FromLong(watch->fd);
    PyObject *reader = self != NULL ? (PyObject *)self->reader : NULL;
    PyObject *writer = self != NULL ? (PyObject *)self->writer : NULL;
    if (file == NULL) {
        return NULL;
    }
    /* Owned by now: the new tuple may have the collector run, and that what ends the watch. */
    return Py_BuildValue("(iiNNN)", watch->fd, watch->events, file,
                         Py_NewRef(reader == NULL ? Py_None : reader),
                         Py_NewRef(writer == NULL ? Py_None : writer));
}

PyObject *
fio_readers_watched(FioLoop *loop, PyObject *file)
{
    FIO_HOLD(loop);
    int fd = readers_fileno(file);
    if (fd < 0) {
        return NULL;
    }
    fio_watch *watch = loop->closed ? NULL : fio_watch_of(loop, fd);
    if (watch == NULL || watch->events == 0) {
        Py_RETURN_NONE;
    }
    return readers_describe(watch);
}

typedef struct {
    int *fds; /* room for them all, or NULL: they are counted */
    Py_ssize_t count;
} readers_fds;

static int
readers_note(fio_watch *watch, void *arg)
{
    readers_fds *noted = arg;
    if (noted->fds != NULL) {
        noted->fds[noted->count] = watch->fd;
    }
    noted->count++;
    return 0;
}

/* The numbers first: with each object that is made, the collector may run what ends watches. */
PyObject *
fio_readers_watches(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    FIO_HOLD(loop);
    readers_fds noted = {NULL, 0};
    PyObject *list = PyList_New(0);
    (void)fio_watches_visit(loop, readers_note, &noted);
    noted.fds = PyMem_New(int, (size_t)noted.count);
    if (list == NULL || noted.fds == NULL) {
        PyMem_Free(noted.fds);
        Py_XDECREF(list);
        return PyErr_NoMemory();
    }
    noted.count = 0;
    (void)fio_watches_visit(loop, readers_note, &noted);
    for (Py_ssize_t i = 0; list != NULL && i < noted.count; i++) {
        fio_watch *watch = loop->closed ? NULL : fio_watch_of(loop, noted.fds[i]);
        if (watch == NULL || watch->events == 0) {
            continue;
        }
        PyObject *item = readers_describe(watch);
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    PyMem_Free(noted.fds);
    return list;
}

typedef struct {
    PyObject *file;
    fio_poller *found;
} readers_search;

static int
readers_match(fio_watch *watch, void *arg)
{
    readers_search *search = arg;
    fio_poller *poller = watch->on_ready == poller_on_ready
                             ? FIO_CONTAINER_OF(watch, fio_poller, watch)
                             : NULL;
    if (poller == NULL || poller->file != search->file) {
        return 0;
    }
    search->found = poller;
    return 1;
}

/* The watch of what add_reader(file) or the like has registered. 0 with *found set or NULL, -1 with
 * an exception set. */
static int
readers_find(FioLoop *loop, PyObject *file, fio_watch **found)
{
    *found = NULL;
    int fd = readers_fileno(file);
    if (fd >= 0) {
        *found = fio_watch_of(loop, fd);
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        return 0;
    }
    /* selectors._BaseSelectorImpl._fileobj_lookup: an object that is closed by now is looked for
     * among those registered. */
    if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
        return -1;
    }
    readers_search search = {file, NULL};
    (void)fio_watches_visit(loop, readers_match, &search);
    *found = search.found == NULL ? NULL : &search.found->watch;
    if (search.found == NULL) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

static PyObject *
readers_remove(FioLoop *loop, const readers_side *side, PyObject *file)
{
    if (loop->closed) {
        Py_RETURN_FALSE;
    }
    fio_watch *watch = NULL;
    if (readers_find(loop, file, &watch) < 0) {
        return NULL;
    }
    if (watch != NULL && watch->yields && watch->transport == NULL && side == &reading_side) {
        watch->on_displaced(watch); /* a server's: accepting ends */
        Py_RETURN_TRUE;
    }
    if (watch == NULL || watch->on_ready != poller_on_ready) {
        Py_RETURN_FALSE;
    }
    fio_poller *self = FIO_CONTAINER_OF(watch, fio_poller, watch);
    FioHandle **slot = poller_slot(self, side);
    if (*slot == NULL) {
        Py_RETURN_FALSE;
    }
    poller_drop(self, slot);
    Py_RETURN_TRUE;
}

static PyObject *
readers_remove_checked(FioLoop *loop, const readers_side *side, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(loop);
    PyObject *file = NULL;
    if (fio_args_parse(&side->remove, args, nargs, kwnames, &file) < 0) {
        return fio_loop_refuse(loop, side->remove.function, args, nargs, kwnames);
    }
    if (readers_check_free(loop, file) < 0) {
        return NULL;
    }
    return readers_remove(loop, side, file);
}

PyObject *
fio_readers_remove_reader(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return readers_remove_checked(loop, &reading_side, args, nargs, kwnames);
}

PyObject *
fio_readers_remove_writer(FioLoop *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return readers_remove_checked(loop, &writing_side, args, nargs, kwnames);
}

PyObject *
fio_readers_remove_reader_unchecked(FioLoop *loop, PyObject *file)
{
    FIO_HOLD(loop);
    return readers_remove(loop, &reading_side, file);
}

PyObject *
fio_readers_remove_writer_unchecked(FioLoop *loop, PyObject *file)
{
    FIO_HOLD(loop);
    return readers_remove(loop, &writing_side, file);
}

/* -- sock_ calls ----------------------------------------------------------------------------------
 */

static const readers_side *
readers_side_of(int event)
{
    return event == UV_READABLE ? &reading_side : &writing_side;
}

int
fio_readers_wait(FioLoop *loop, int fd, FioHandle *handle, int event)
{
    PyObject *number = PyLong_FromLong(fd);
    if (number == NULL) {
        return -1;
    }
    int result = fio_loop_check_closed(loop) < 0 ? -1 : readers_check_free(loop, number);
    if (result == 0) {
        result = readers_register(loop, number, handle, readers_side_of(event));
    }
    Py_DECREF(number);
    handle->waits_for = result;
    return result < 0 ? -1 : 0;
}

void
fio_readers_unwait(FioLoop *loop, FioHandle *handle, int event)
{
    fio_poller *self = loop->closed ? NULL : poller_of(loop, handle->waits_for);
    if (self == NULL) {
        return;
    }
    FioHandle **slot = poller_slot(self, readers_side_of(event));
    if (*slot != handle) {
        return;
    }
    *slot = NULL;
    Py_DECREF(handle); /* the caller has its own reference */
    fio_watch_set(&self->watch, poller_events(self));
    if (self->reader == NULL && self->writer == NULL) {
        Py_CLEAR(self->file); /* which shall not live on for our sake */
    }
}

typedef struct {
    visitproc visit;
    void *arg;
} readers_visit_state;

static int
readers_visit(fio_watch *watch, void *state)
{
    visitproc visit = ((readers_visit_state *)state)->visit;
    void *arg = ((readers_visit_state *)state)->arg;
    if (watch->on_ready == poller_on_ready) {
        fio_poller *self = FIO_CONTAINER_OF(watch, fio_poller, watch);
        Py_VISIT(self->file);
        Py_VISIT((PyObject *)self->reader);
        Py_VISIT((PyObject *)self->writer);
    }
    return 0;
}

int
fio_readers_traverse(FioLoop *loop, visitproc visit, void *arg)
{
    readers_visit_state state = {visit, arg};
    return fio_watches_visit(loop, readers_visit, &state);
}
