#ifndef FIO_LOOP_CLOCK_H
#define FIO_LOOP_CLOCK_H

/* Whether a test has replaced time.monotonic(), which asyncio's loop.time() asks at each call, or
 * the name `time` where that is written (asyncio.base_events). */

#include "base/state.h"

FIO_MUST_CHECK int fio_clock_setup(fio_state *st);
void fio_clock_end(fio_state *st);

/* Something about the two modules has changed; looked at, it may be nothing. */
static inline bool
fio_clock_touched(const fio_state *st)
{
#if FIO_DICT_WATCHERS
    return atomic_load_explicit(&st->clock_touched, memory_order_relaxed);
#else
    const PyDictObject *names = (PyDictObject *)st->clock_names;
    const PyDictObject *users = (PyDictObject *)st->clock_user_names;
    return names != NULL
           && (names->ma_version_tag != st->clock_version
               || users->ma_version_tag != st->clock_user_version);
#endif
}

/* Looks whether it is another function than the time module's own; always right. */
FIO_COLD bool fio_clock_look(fio_state *st);

static inline bool
fio_clock_is_foreign(fio_state *st)
{
    return FIO_UNLIKELY(fio_clock_touched(st)) && fio_clock_look(st);
}

#endif
