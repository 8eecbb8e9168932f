#ifndef FIO_SERVER_FILE_H
#define FIO_SERVER_FILE_H

/* Regular files to be sent: opened, read when they are small, and what their answers say of them.
 * Small files are kept in memory; every look-up asks the kernel anew whether the file at the path
 * is still the same, so a changed one is seen at once. */

#include "base/state.h"

/* Files of at most this many bytes are read into memory, larger ones are left to sendfile(). */
#define FIO_FILE_CONTENT_MAX (64 * 1024)

/* "mtime-size" in hexadecimal. */
#define FIO_FILE_ETAG_MAX (2 * 16 + 1)

typedef struct fio_file {
    size_t holders;    /* fio_file_release() */
    int fd;            /* open for reading, or -1: `content` has it all */
    PyObject *content; /* owned bytes, or NULL */
    PyObject *type;    /* owned str: its media type, or NULL as long as nobody asked */
    char *path;        /* owned, with NUL */
    size_t path_size;
    uint64_t device;
    uint64_t inode;
    int64_t size;
    int64_t mtime;                /* nanoseconds since 1970 */
    int64_t ctime;                /* the same, of the inode: set by every change of the file */
    int64_t read;                 /* the same: when the content was read */
    uint8_t links;                /* fio_file_links */
    char etag[FIO_FILE_ETAG_MAX]; /* aiohttp: f"{st_mtime_ns:x}-{st_size:x}" */
    size_t etag_size;
} fio_file;

typedef enum {
    FIO_FILE_ANY_LINKS, /* symbolic links are followed */
    FIO_FILE_NO_LINKS,  /* a symbolic link anywhere in the path: ELOOP */
    FIO_FILE_NO_LINK,   /* a symbolic link as the last component: ELOOP */
} fio_file_links;

/* The regular file at `path` (ends with NUL): *file is a new hold on it. 0; an errno value when it
 * cannot be opened; EISDIR when it is a folder, EINVAL when it is no regular file otherwise; -1
 * exception set. */
FIO_MUST_CHECK int fio_file_lookup(fio_state *st, const char *path, size_t path_size,
                                   fio_file_links links, fio_file **file);
void fio_file_release(fio_file *file);

#endif
