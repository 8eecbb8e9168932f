/* The heap of timers: four children a node, so that one cache line holds the children of a node and
 * the heap is half as deep as a binary one. Times are whole nanoseconds of the monotonic clock;
 * equal times keep the order in which they were started. A stopped timer leaves the heap at once.
 */

#include "loop/timer.h"

#include "base/args.h"
#include "loop/ready.h"
#include "loop/report.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#define TIMER_CHILDREN 4
#define TIMER_FIRST_CAPACITY 64
/* Timers fired one by one before it is looked whether there are many more, and what part of the
 * heap has to be due to be taken out together. */
#define TIMER_TOGETHER_AFTER 32
#define TIMER_TOGETHER_PART 16
/* Timers in a row lie anywhere in memory: so many further on is asked for before its turn. */
#define TIMER_AHEAD 8
/* Nanoseconds: a wait takes a millisecond, too long for a timer that is due so soon after it was
 * started. A turn of asyncio's loop takes about as much, so that it finds such a timer due. Timers
 * that were there at the last wait are no reason: one wait serves many that follow closely. */
#define TIMER_SHORTEST_WAIT 5000
/* Digits by which many timers are sorted: an even number of them, for times a minute apart. */
#define TIMER_DIGIT_BITS 9
#define TIMER_DIGITS 4
#define NANOSECONDS 1000000000LL
/* Seconds beyond which a time is as good as never: 2^63 ns is 292 years. */
#define TIMER_NEVER_SECONDS 9.2e9

int64_t
fio_loop_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * NANOSECONDS + now.tv_nsec;
}

static PyObject *
fio_timer_time(FioLoop *loop, PyObject *Py_UNUSED(unused))
{
    fio_state *st = loop->st;
    if (fio_clock_is_foreign(st)) {
        return PyObject_CallMethodOneArg(st->aio_SelectorEventLoop, st->str_time, (PyObject *)loop);
    }
    return PyFloat_FromDouble((double)fio_loop_now() * 1e-9);
}

FIO_NO_ARGUMENTS(, fio_timer_time, FioLoop, fio_loop_refuse, "time")

double
fio_timer_clock_seconds(FioLoop *loop)
{
    if (!fio_timer_is_foreign(loop)) {
        return (double)fio_loop_now() * 1e-9;
    }
    PyObject *now = PyObject_CallMethodNoArgs((PyObject *)loop, loop->st->str_time);
    if (now == NULL) {
        return -1.0;
    }
    double seconds = PyFloat_AsDouble(now);
    Py_DECREF(now);
    return seconds;
}

int64_t
fio_timer_clock(FioLoop *loop)
{
    if (!fio_timer_is_foreign(loop)) {
        return fio_loop_now();
    }
    double seconds = fio_timer_clock_seconds(loop);
    if (seconds == -1.0 && PyErr_Occurred()) {
        fio_report_fatal(loop);
        return 0;
    }
    return fio_timer_nanoseconds(seconds);
}

int64_t
fio_timer_due_foreign(FioLoop *loop)
{
    double now = fio_timer_clock_seconds(loop);
    PyObject *resolution = now == -1.0 && PyErr_Occurred()
                               ? NULL
                               : PyObject_GetAttr((PyObject *)loop,
                                                  loop->st->str__clock_resolution);
    double seconds = resolution == NULL ? 0.0 : PyFloat_AsDouble(resolution);
    Py_XDECREF(resolution);
    if (PyErr_Occurred()) {
        fio_report_fatal(loop);
        return INT64_MIN;
    }
    return fio_timer_nanoseconds(now + seconds);
}

double
fio_timer_first(const FioLoop *loop)
{
    return ((FioTimerHandle *)fio_timer_handle_of(loop->timers.items[0].timer))->when;
}

int64_t
fio_timer_nanoseconds(double seconds)
{
    if (seconds >= TIMER_NEVER_SECONDS) {
        return INT64_MAX;
    }
    if (!(seconds > -TIMER_NEVER_SECONDS)) {
        return INT64_MIN; /* also for what is no number: asyncio fires such a timer at once */
    }
    return (int64_t)floor(seconds * (double)NANOSECONDS);
}

static inline bool
timer_before(const fio_timer_entry *a, const fio_timer_entry *b)
{
    return a->when < b->when || (a->when == b->when && a->timer->order < b->timer->order);
}

static inline void
timer_put(fio_timer_heap *heap, Py_ssize_t index, fio_timer_entry entry)
{
    heap->items[index] = entry;
    entry.timer->place = index + 1;
}

static void
timer_sift_up(fio_timer_heap *heap, Py_ssize_t index, fio_timer_entry entry)
{
    while (index > 0) {
        Py_ssize_t parent = (index - 1) / TIMER_CHILDREN;
        if (!timer_before(&entry, &heap->items[parent])) {
            break;
        }
        timer_put(heap, index, heap->items[parent]);
        index = parent;
    }
    timer_put(heap, index, entry);
}

static void
timer_sift_down(fio_timer_heap *heap, Py_ssize_t index, fio_timer_entry entry)
{
    for (;;) {
        Py_ssize_t first = index * TIMER_CHILDREN + 1;
        if (first >= heap->size) {
            break;
        }
        Py_ssize_t end = first + TIMER_CHILDREN < heap->size ? first + TIMER_CHILDREN : heap->size;
        Py_ssize_t least = first;
        for (Py_ssize_t child = first + 1; child < end; child++) {
            if (timer_before(&heap->items[child], &heap->items[least])) {
                least = child;
            }
        }
        if (!timer_before(&heap->items[least], &entry)) {
            break;
        }
        timer_put(heap, index, heap->items[least]);
        index = least;
    }
    timer_put(heap, index, entry);
}

static int
timer_reserve(fio_timer_heap *heap)
{
    if (heap->size < heap->capacity) {
        return 0;
    }
    Py_ssize_t capacity = heap->capacity == 0 ? TIMER_FIRST_CAPACITY : heap->capacity * 2;
    fio_timer_entry *items = heap->items;
    PyMem_Resize(items, fio_timer_entry, (size_t)capacity);
    if (items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    heap->items = items;
    heap->capacity = capacity;
    return 0;
}

static fio_timer_heap *
timer_heap(FioLoop *loop, fio_timer *timer)
{
    return fio_timer_handle_of(timer) != NULL ? &loop->timers : &loop->c_timers;
}

int
fio_timer_start(FioLoop *loop, fio_timer *timer, int64_t when)
{
    fio_timer_heap *heap = timer_heap(loop, timer);
    fio_timer_stop(loop, timer);
    if (timer_reserve(heap) < 0) {
        return -1;
    }
    timer->order = heap->started++;
    timer_sift_up(heap, heap->size++, (fio_timer_entry){when, timer});
    return 0;
}

void
fio_timer_stop(FioLoop *loop, fio_timer *timer)
{
    fio_timer_heap *heap = timer_heap(loop, timer);
    if (timer->place == 0) {
        return;
    }
    Py_ssize_t index = timer->place - 1;
    timer->place = 0;
    fio_timer_entry last = heap->items[--heap->size];
    if (index == heap->size) {
        return;
    }
    if (index > 0 && timer_before(&last, &heap->items[(index - 1) / TIMER_CHILDREN])) {
        timer_sift_up(heap, index, last);
    }
    else {
        timer_sift_down(heap, index, last);
    }
}

int
fio_timer_wait(const fio_timer_heap *heap, int64_t now)
{
    if (heap->size == 0) {
        return -1;
    }
    const fio_timer_entry *first = &heap->items[0];
    int64_t when = first->when;
    if (when <= now
        || ((uint64_t)when - (uint64_t)now < TIMER_SHORTEST_WAIT
            && first->timer->order >= heap->waited)) {
        return 0;
    }
    const int64_t longest = (int64_t)FIO_TIMER_LONGEST_WAIT * 1000;
    const int64_t nanoseconds_a_millisecond = NANOSECONDS / 1000;
    /* Rounded up: a poll that ends early would only be followed by another. */
    uint64_t wait = ((uint64_t)when - (uint64_t)now + (uint64_t)nanoseconds_a_millisecond - 1)
                    / (uint64_t)nanoseconds_a_millisecond;
    return (int)(wait < (uint64_t)longest ? wait : (uint64_t)longest);
}

/* -- firing ---------------------------------------------------------------------------------------
 */

static bool
timers_are_due(const fio_timer_heap *heap, int64_t now)
{
    return heap->size > 0 && heap->items[0].when <= now;
}

/* The places of all that is due, going down from the root only where it is: a parent is due before
 * its children. The timers themselves, which lie anywhere in memory, are not looked at. NULL when
 * there is no memory for it. */
static Py_ssize_t *
timers_find_due(const fio_timer_heap *heap, int64_t now, Py_ssize_t *found)
{
    Py_ssize_t *due = PyMem_New(Py_ssize_t, (size_t)heap->size);
    if (due == NULL) {
        return NULL;
    }
    due[0] = 0;
    Py_ssize_t count = 1;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t first = due[i] * TIMER_CHILDREN + 1;
        for (Py_ssize_t child = first; child < first + TIMER_CHILDREN; child++) {
            if (child < heap->size && heap->items[child].when <= now) {
                due[count++] = child;
            }
        }
    }
    *found = count;
    return due;
}

/* Takes the entries at `places` out of the heap, which is put in order again as a whole. */
static void
timers_take(fio_timer_heap *heap, const Py_ssize_t *places, Py_ssize_t count, fio_timer_entry *due)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        due[i] = heap->items[places[i]];
        heap->items[places[i]].timer = NULL;
    }
    Py_ssize_t left = 0;
    for (Py_ssize_t i = 0; i < heap->size; i++) {
        if (heap->items[i].timer != NULL) {
            timer_put(heap, left++, heap->items[i]);
        }
    }
    heap->size = left;
    for (Py_ssize_t i = (left - 2) / TIMER_CHILDREN; left > 1 && i >= 0; i--) {
        timer_sift_down(heap, i, heap->items[i]);
    }
}

static int
timer_compare(const void *a, const void *b)
{
    return timer_before(a, b) ? -1 : 1;
}

/* Sorts by one digit of the times since `first`, keeping the order of equal ones. */
static void
timers_sort_by_digit(const fio_timer_entry *from, fio_timer_entry *to, Py_ssize_t count,
                     int64_t first, unsigned shift)
{
    Py_ssize_t ends[1 << TIMER_DIGIT_BITS] = {0};
    const uint64_t mask = (1 << TIMER_DIGIT_BITS) - 1;
    for (Py_ssize_t i = 0; i < count; i++) {
        ends[((uint64_t)from[i].when - (uint64_t)first) >> shift & mask]++;
    }
    Py_ssize_t end = 0;
    for (uint64_t digit = 0; digit <= mask; digit++) {
        end += ends[digit];
        ends[digit] = end;
    }
    for (Py_ssize_t i = count; i-- > 0;) {
        to[--ends[((uint64_t)from[i].when - (uint64_t)first) >> shift & mask]] = from[i];
    }
}

/* Sorts what fires together. Comparing would look into the timers only for equal times, but sorts
 * these many by their digits in a third of the time. `spare` has room for as many. */
static void
timers_sort(fio_timer_entry *due, fio_timer_entry *spare, Py_ssize_t count)
{
    int64_t first = due[0].when;
    int64_t last = due[0].when;
    for (Py_ssize_t i = 1; i < count; i++) {
        first = due[i].when < first ? due[i].when : first;
        last = due[i].when > last ? due[i].when : last;
    }
    uint64_t span = (uint64_t)last - (uint64_t)first;
    if (span >> TIMER_DIGITS * TIMER_DIGIT_BITS != 0) {
        qsort(due, (size_t)count, sizeof(due[0]), timer_compare);
        return;
    }
    for (unsigned digit = 0; digit < TIMER_DIGITS; digit += 2) {
        timers_sort_by_digit(due, spare, count, first, digit * TIMER_DIGIT_BITS);
        timers_sort_by_digit(spare, due, count, first, (digit + 1) * TIMER_DIGIT_BITS);
    }
    for (Py_ssize_t i = 0; i < count;) {
        Py_ssize_t end = i + 1;
        while (end < count && due[end].when == due[i].when) {
            end++;
        }
        if (end - i > 1) {
            qsort(due + i, (size_t)(end - i), sizeof(due[0]), timer_compare);
        }
        i = end;
    }
}

/* Fires TimerHandles, which runs no code of others. */
static void
timers_fire_sorted(const fio_timer_entry *due, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        fio_timer *timer = due[i].timer;
        FIO_PREFETCH(due[i + TIMER_AHEAD < count ? i + TIMER_AHEAD : i].timer);
        timer->place = 0;
        timer->fire(timer);
    }
}

/* Where a good part of many timers is due, sorting those costs less than taking the heap's first
 * over and over, which moves a timer at each level. */
static void
timers_fire_together(FioLoop *loop, int64_t now)
{
    fio_timer_heap *heap = &loop->timers;
    Py_ssize_t count = 0;
    Py_ssize_t *places = timers_find_due(heap, now, &count);
    if (places == NULL) {
        return;
    }
    fio_timer_entry *due = NULL;
    if (count >= heap->size / TIMER_TOGETHER_PART) {
        due = PyMem_New(fio_timer_entry, (size_t)count * 2);
    }
    if (due != NULL && fio_ready_reserve(&loop->ready, (size_t)count) == 0) {
        timers_take(heap, places, count, due);
        timers_sort(due, due + count, count);
        timers_fire_sorted(due, count);
    }
    else {
        PyErr_Clear(); /* one by one, then */
    }
    PyMem_Free(due);
    PyMem_Free(places);
}

void
fio_timers_fire(FioLoop *loop, fio_timer_heap *heap, int64_t now)
{
    uint64_t end = heap->started; /* what fire() starts belongs to the next turn */
    for (int fired = 0; timers_are_due(heap, now) && loop->fatal == NULL; fired++) {
        if (fired == TIMER_TOGETHER_AFTER && heap == &loop->timers) {
            timers_fire_together(loop, now);
            if (!timers_are_due(heap, now)) {
                break;
            }
        }
        fio_timer *timer = heap->items[0].timer;
        if (timer->order >= end) {
            break;
        }
        fio_timer_stop(loop, timer);
        timer->fire(timer);
    }
}

/* -- all of them ----------------------------------------------------------------------------------
 */

static void
timers_empty(fio_timer_heap *heap)
{
    while (heap->size > 0) {
        fio_timer *timer = heap->items[--heap->size].timer;
        timer->place = 0;
        PyObject *handle = fio_timer_handle_of(timer);
        if (handle != NULL) {
            fio_handle_release(handle); /* the heap's reference */
        }
    }
    PyMem_Free(heap->items);
    heap->items = NULL;
    heap->capacity = 0;
}

void
fio_timers_free(FioLoop *loop)
{
    timers_empty(&loop->timers);
    timers_empty(&loop->c_timers);
}

PyObject *
fio_timers_list(FioLoop *loop)
{
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list != NULL && i < loop->timers.size; i++) {
        PyObject *handle = fio_timer_handle_of(loop->timers.items[i].timer);
        if (handle != NULL && PyList_Append(list, handle) < 0) {
            Py_CLEAR(list);
        }
    }
    if (!loop->running) {
        fio_timers_track(loop);
    }
    return list;
}

/* A TimerHandle of this loop, which waits or does not; NULL, with an exception set: it is none. */
static FioTimerHandle *
timers_check(FioLoop *loop, PyObject *handle, bool waits)
{
    FioTimerHandle *timer = (FioTimerHandle *)handle;
    if (!Py_IS_TYPE(handle, loop->st->TimerHandleType) || timer->base.loop != loop
        || (timer->timer.place != 0) != waits) {
        PyErr_SetString(PyExc_ValueError, waits ? "it is not scheduled" : "it cannot be scheduled");
        return NULL;
    }
    return timer;
}

PyObject *
fio_timers_take(FioLoop *loop, PyObject *handle)
{
    FIO_HOLD(loop);
    FioTimerHandle *timer = timers_check(loop, handle, true);
    if (timer == NULL) {
        return NULL;
    }
    fio_timer_stop(loop, &timer->timer);
    fio_handle_release(handle); /* the heap's; the caller has one */
    Py_RETURN_NONE;
}

PyObject *
fio_timers_put(FioLoop *loop, PyObject *handle)
{
    FIO_HOLD(loop);
    FioTimerHandle *timer = timers_check(loop, handle, false);
    if (timer == NULL
        || fio_timer_start(loop, &timer->timer, fio_timer_nanoseconds(timer->when)) < 0) {
        return NULL;
    }
    Py_INCREF(handle); /* the heap's, given back by whoever takes it out */
    Py_RETURN_NONE;
}

void
fio_timers_track(FioLoop *loop)
{
    for (Py_ssize_t i = 0; i < loop->timers.size; i++) {
        PyObject *handle = fio_timer_handle_of(loop->timers.items[i].timer);
        if (handle != NULL) {
            fio_handle_track_held(handle);
        }
    }
}

int
fio_timers_traverse(FioLoop *loop, visitproc visit, void *arg)
{
    if (loop->running && loop->timers.size >= FIO_QUEUE_IS_LONG) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < loop->timers.size; i++) {
        PyObject *handle = fio_timer_handle_of(loop->timers.items[i].timer);
        int result = handle == NULL ? 0 : fio_handle_visit(handle, visit, arg);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}
