#ifndef FIO_LOOP_OVERRIDES_H
#define FIO_LOOP_OVERRIDES_H

/* The loop's own methods that C calls without looking them up, and whether a subclass, the instance
 * or a test has put others in their place. */

#include "loop/loop.h"

/* Looks again; -1 with an exception set. */
FIO_MUST_CHECK int fio_overrides_look(FioLoop *loop);

/* The same only where the loop's class may have changed since: between two calls of it. */
FIO_MUST_CHECK static inline int
fio_overrides_refresh(FioLoop *loop)
{
    unsigned int version = Py_TYPE(loop)->tp_version_tag;
    if (FIO_LIKELY(version != 0 && version == loop->class_version)) {
        return 0;
    }
    return fio_overrides_look(loop);
}

/* Looks whether asyncio.Handle._run(), or TimerHandle's, has been replaced. */
FIO_COLD bool fio_overrides_look_at_handles(fio_state *st);

/* A version that tells other threads, too, that what was written before it is so. */
static inline void
fio_overrides_publish(unsigned int *field, unsigned int version)
{
    if (FIO_GIL) {
        *field = version;
    }
    else {
        __atomic_store_n(field, version, __ATOMIC_RELEASE);
    }
}

static inline unsigned int
fio_overrides_published(const unsigned int *field)
{
    return FIO_GIL ? *field : __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

/* The same, where one of the two classes may have changed since. */
static inline bool
fio_overrides_handles(fio_state *st)
{
    unsigned int version = ((PyTypeObject *)st->aio_TimerHandle)->tp_version_tag;
    if (FIO_LIKELY(version != 0 && version == fio_overrides_published(&st->handle_version))) {
        return st->foreign_handles;
    }
    return fio_overrides_look_at_handles(st);
}

/* One turn by the method that replaces ours; what it raises ends the run. */
void fio_overrides_turn(FioLoop *loop);

#endif
