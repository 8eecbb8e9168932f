/* The life of shared freelists; taking and giving blocks is inline in the header. */

#include "base/pool.h"

fio_pool *
fio_pool_new(void)
{
    fio_pool *pool = PyMem_Calloc(1, sizeof(*pool));
    if (pool == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    pool->holders = 1;
    return pool;
}

void
fio_pool_close(fio_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pool->closed = true;
    while (pool->count > 0) {
        pool->release(pool->blocks[--pool->count]);
    }
    if (--pool->holders == 0) {
        PyMem_Free(pool);
    }
}
