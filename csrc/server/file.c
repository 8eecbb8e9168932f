/* Looking up regular files, with a bounded memory of small ones. */

#include "server/file.h"

#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/openat2.h>
#endif

/* Places for files in memory; a file's path decides which one it may take. */
#define CACHE_PLACES 256
/* Bytes of content kept at most; over it everything is dropped and the cache begins anew. */
#define CACHE_BYTES (8 * 1024 * 1024)
/* A file that was changed this short a time (nanoseconds) before it was read may change again
 * without a new time stamp (the kernel's and the coarsest file systems' clocks): it is not taken
 * from memory. */
#define CACHE_SETTLED (2 * INT64_C(1000000000))

#define CACHE_NAME "fastaio._core.file_cache"

typedef struct {
    fio_file *places[CACHE_PLACES]; /* held */
    size_t bytes;
} fio_file_cache;

static void
cache_empty(fio_file_cache *cache)
{
    for (size_t i = 0; i < CACHE_PLACES; i++) {
        fio_file *file = cache->places[i];
        cache->places[i] = NULL;
        if (file != NULL) {
            fio_file_release(file);
        }
    }
    cache->bytes = 0;
}

static void
cache_free(PyObject *capsule)
{
    fio_file_cache *cache = PyCapsule_GetPointer(capsule, CACHE_NAME);
    cache_empty(cache);
    PyMem_Free(cache);
}

/* The module's cache, made now if need be: the state keeps it in a capsule, which frees it. */
static fio_file_cache *
cache_of(fio_state *st)
{
    if (st->file_cache != NULL) {
        return PyCapsule_GetPointer(st->file_cache, CACHE_NAME);
    }
    fio_file_cache *cache = PyMem_Calloc(1, sizeof(*cache));
    if (cache == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    st->file_cache = PyCapsule_New(cache, CACHE_NAME, cache_free);
    if (st->file_cache == NULL) {
        PyMem_Free(cache);
        return NULL;
    }
    return cache;
}

void
fio_file_release(fio_file *file)
{
    if (--file->holders > 0) {
        return;
    }
    if (file->fd >= 0) {
        (void)close(file->fd); /* opened for reading: nothing can be lost */
    }
    Py_XDECREF(file->content);
    Py_XDECREF(file->type);
    PyMem_Free(file->path);
    PyMem_Free(file);
}

static size_t
cache_place(const char *path, size_t size)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (unsigned char)path[i]) * 16777619U;
    }
    return hash % CACHE_PLACES;
}

static int64_t
nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static bool
is_same(const fio_file *file, const struct stat *st)
{
    return file->inode == st->st_ino && file->device == st->st_dev && file->size == st->st_size
           && file->mtime == nanoseconds(st->st_mtim) && file->ctime == nanoseconds(st->st_ctim);
}

static bool
is_settled(const fio_file *file)
{
    int64_t changed = file->mtime > file->ctime ? file->mtime : file->ctime;
    return file->read - changed > CACHE_SETTLED;
}

/* -- opening --------------------------------------------------------------------------------------
 */

/* open() that fails with ELOOP where a component of the absolute `path` is a symbolic link; for
 * kernels without openat2(). */
static int
open_step_by_step(const char *path, int flags)
{
    int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char name[NAME_MAX + 1];
    while (at >= 0) {
        path += strspn(path, "/");
        size_t size = strcspn(path, "/");
        bool last = path[size + strspn(path + size, "/")] == '\0';
        if (size > NAME_MAX) {
            (void)close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, path, size);
        name[size] = '\0';
        int next = openat(at, size == 0 ? "." : name,
                          (last ? flags : O_PATH | O_DIRECTORY | O_CLOEXEC) | O_NOFOLLOW);
        int error = errno;
        (void)close(at);
        errno = error == ENOTDIR && !last ? ELOOP : error;
        if (next < 0 || last) {
            return next;
        }
        at = next;
        path += size;
    }
    return at;
}

static int
open_file(const char *path, fio_file_links links)
{
    /* O_NONBLOCK: a FIFO that somebody put there must not stop the loop. */
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    if (links != FIO_FILE_NO_LINKS) {
        return open(path, links == FIO_FILE_NO_LINK ? flags | O_NOFOLLOW : flags);
    }
#ifdef SYS_openat2
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_NO_SYMLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != EINVAL)) {
        return (int)fd;
    }
#endif
    return open_step_by_step(path, flags);
}

/* Reads the whole small file into memory and closes it. 0, an errno value, or -1. */
static int
read_content(fio_file *file)
{
    file->content = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)file->size);
    if (file->content == NULL) {
        return -1;
    }
    char *to = PyBytes_AS_STRING(file->content);
    size_t left = (size_t)file->size;
    while (left > 0) {
        ssize_t got = read(file->fd, to, left);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : EIO; /* shorter than it was a moment ago */
        }
        to += got;
        left -= (size_t)got;
    }
    (void)close(file->fd);
    file->fd = -1;
    return 0;
}

static void
set_status(fio_file *file, const struct stat *st)
{
    file->device = st->st_dev;
    file->inode = st->st_ino;
    file->size = st->st_size;
    file->mtime = nanoseconds(st->st_mtim);
    file->ctime = nanoseconds(st->st_ctim);
    /* A file from before 1970: aiohttp's "-x" is not worth having, the tag only has to differ. */
    size_t size = fio_hex_write(file->etag, (uint64_t)file->mtime);
    file->etag[size++] = '-';
    size += fio_hex_write(file->etag + size, (uint64_t)file->size);
    file->etag_size = size;
}

/* Opens, looks at and, if it is small, reads the file. 0, an errno value, or -1. */
static int
file_fill(fio_file *file, fio_file_links links)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    file->read = nanoseconds(now);
    file->fd = open_file(file->path, links);
    struct stat st;
    if (file->fd < 0 || fstat(file->fd, &st) < 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    }
    set_status(file, &st);
    return file->size <= FIO_FILE_CONTENT_MAX ? read_content(file) : 0;
}

static fio_file *
file_new(const char *path, size_t path_size, fio_file_links links)
{
    fio_file *file = PyMem_Calloc(1, sizeof(*file));
    char *copy = PyMem_Malloc(path_size + 1);
    if (file == NULL || copy == NULL) {
        PyMem_Free(file);
        PyMem_Free(copy);
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(copy, path, path_size);
    copy[path_size] = '\0';
    file->holders = 1;
    file->fd = -1;
    file->path = copy;
    file->path_size = path_size;
    file->links = (uint8_t)links;
    return file;
}

/* -- look-up --------------------------------------------------------------------------------------
 */

/* The file of `place` when it is that of the path and unchanged. Its identity was established when
 * it was opened: the same inode with the same time stamps has the same content, whatever way led
 * to it. */
static fio_file *
cache_find(const fio_file_cache *cache, size_t place, const char *path, size_t path_size,
           fio_file_links links)
{
    fio_file *file = cache->places[place];
    struct stat st;
    if (file == NULL || file->path_size != path_size || memcmp(file->path, path, path_size) != 0
        || file->links != links || !is_settled(file)
        || (links == FIO_FILE_ANY_LINKS ? stat(path, &st) : lstat(path, &st)) < 0
        || !is_same(file, &st)) {
        return NULL;
    }
    file->holders++;
    return file;
}

static void
cache_put(fio_file_cache *cache, size_t place, fio_file *file)
{
    if (file->content == NULL || !is_settled(file)) {
        return;
    }
    if (cache->bytes + (size_t)file->size > CACHE_BYTES) {
        cache_empty(cache);
    }
    fio_file *old = cache->places[place];
    if (old != NULL) {
        cache->bytes -= (size_t)old->size;
        fio_file_release(old);
    }
    file->holders++;
    cache->places[place] = file;
    cache->bytes += (size_t)file->size;
}

int
fio_file_lookup(fio_state *st, const char *path, size_t path_size, fio_file_links links,
                fio_file **file)
{
    fio_file_cache *cache = FIO_FREELISTS ? cache_of(st) : NULL;
    if (FIO_FREELISTS && cache == NULL) {
        return -1;
    }
    size_t place = cache_place(path, path_size);
    *file = cache == NULL ? NULL : cache_find(cache, place, path, path_size, links);
    if (*file != NULL) {
        return 0;
    }
    fio_file *found = file_new(path, path_size, links);
    int status = found == NULL ? -1 : file_fill(found, links);
    if (status != 0) {
        if (found != NULL) {
            fio_file_release(found);
        }
        return status;
    }
    if (cache != NULL) {
        cache_put(cache, place, found);
    }
    *file = found;
    return 0;
}
