#ifndef FIO_BASE_STATE_H
#define FIO_BASE_STATE_H

#include "base/base.h"
#include "base/hold.h"
#include "base/pool.h"

#include <stdatomic.h>

/* Everything the module owns, one line each: adding a type, a name or an import here is enough
 * to have it declared, made, visited and cleared. Keep each list sorted within its room. */

/* Heap types, made by each room's fio_<thing>_setup_types(); the field is <name>Type. */
#define FIO_STATE_TYPES(X)          \
    X(Ready)                        \
    X(Loop)                         \
    X(Handle)                       \
    X(TimerHandle)                  \
    X(Link)                         \
    X(Transport)                    \
    X(Listener)                     \
    X(TLSLink)                      \
    X(SSLTransport)                 \
    X(MatchInfo)                    \
    X(Route)                        \
    X(Router)                       \
    X(Request)                      \
    X(RequestRead)                  \
    X(StreamResponse)               \
    X(Response)                     \
    X(FileResponse)                 \
    X(FileSend)                     \
    X(Folder)                       \
    X(ResponseMeta)                 \
    X(HandlerTask)                  \
    X(HttpServer)                   \
    X(ServerProtocol)               \
    X(Steps)                        \
    X(ForeignWire)                  \
    X(HttpParserCallbackError)      \
    X(HttpParserError)              \
    X(HttpParserInvalidMethodError) \
    X(HttpParserInvalidStatusError) \
    X(HttpParserInvalidURLError)    \
    X(HttpParserUpgrade)            \
    X(HttpRequestError)             \
    X(HttpRequestParser)            \
    X(HttpResponseParser)           \
    X(RequestHead)                  \
    X(RequestReader)                \
    X(URL)                          \
    X(Body)                         \
    X(BodyIterator)                 \
    X(BodyRead)                     \
    X(SockCall)                     \
    X(ReadPipeTransport)            \
    X(WritePipeTransport)           \
    X(DatagramTransport)            \
    X(MultipartParser)

/* Interned strings; the field is str_<name>. */
#define FIO_STATE_NAMES(X)    \
    X(DELETE)                 \
    X(GET)                    \
    X(HEAD)                   \
    X(OPTIONS)                \
    X(PATCH)                  \
    X(POST)                   \
    X(PUT)                    \
    X(Task)                   \
    X(__class__)              \
    X(__http_response__)      \
    X(__repr__)               \
    X(_advance)               \
    X(_attach)                \
    X(_call_connection_lost)  \
    X(_call_eof_received)     \
    X(_callback_failed)       \
    X(_clock_resolution)      \
    X(_control_app_writing)   \
    X(_control_ssl_reading)   \
    X(_detach)                \
    X(_flush)                 \
    X(_make_payload)          \
    X(_process_events)        \
    X(_get_snapshot)          \
    X(_repr_info)             \
    X(_resume)                \
    X(_run_once)              \
    X(_selector)              \
    X(_selects_elsewhere)     \
    X(_ssl_protocol)          \
    X(_sslobj)                \
    X(_start)                 \
    X(_start_shutdown)        \
    X(_tick)                  \
    X(_write_after_close)     \
    X(abort)                  \
    X(add)                    \
    X(add_done_callback)      \
    X(append)                 \
    X(appendleft)             \
    X(body)                   \
    X(buffer_updated)         \
    X(call_at)                \
    X(call_exception_handler) \
    X(call_later)             \
    X(call_soon)              \
    X(call_soon_threadsafe)   \
    X(can_write_eof)          \
    X(cancel)                 \
    X(cancelled)              \
    X(charset)                \
    X(close)                  \
    X(connection_lost)        \
    X(connection_made)        \
    X(content_type)           \
    X(context)                \
    X(create_future)          \
    X(create_task)            \
    X(data_received)          \
    X(datagram_received)      \
    X(detach)                 \
    X(done)                   \
    X(eof_received)           \
    X(error_received)         \
    X(exception)              \
    X(filename)               \
    X(fileno)                 \
    X(get_buffer)             \
    X(get_extra_info)         \
    X(get_task_factory)       \
    X(get_write_buffer_size)  \
    X(gettimeout)             \
    X(handle)                 \
    X(headers)                \
    X(http)                   \
    X(https)                  \
    X(is_closing)             \
    X(items)                  \
    X(loop)                   \
    X(message)                \
    X(monotonic)              \
    X(name)                   \
    X(on_body)                \
    X(on_chunk_complete)      \
    X(on_chunk_header)        \
    X(on_header)              \
    X(on_headers_complete)    \
    X(on_message_begin)       \
    X(on_message_complete)    \
    X(on_status)              \
    X(on_url)                 \
    X(pause_reading)          \
    X(pause_writing)          \
    X(peername)               \
    X(pending)                \
    X(pipe)                   \
    X(popleft)                \
    X(prepare)                \
    X(protocol)               \
    X(read)                   \
    X(readany)                \
    X(reason)                 \
    X(result)                 \
    X(resume_reading)         \
    X(resume_writing)         \
    X(select)                 \
    X(sendto)                 \
    X(set_exception)          \
    X(set_result)             \
    X(setblocking)            \
    X(slow_callback_duration) \
    X(socket)                 \
    X(sockname)               \
    X(status)                 \
    X(task)                   \
    X(text)                   \
    X(throw)                  \
    X(time)                   \
    X(transport)              \
    X(write)                  \
    X(write_eof)

/* Interned strings that are no names: X(field, text); the field is str_<field>. */
#define FIO_STATE_TEXTS(X)                                      \
    X(application_json, "application/json")                     \
    X(application_json_utf8, "application/json; charset=utf-8") \
    X(octet_stream, "application/octet-stream")                 \
    X(text_html, "text/html")                                   \
    X(text_html_utf8, "text/html; charset=utf-8")               \
    X(text_plain, "text/plain")                                 \
    X(text_plain_utf8, "text/plain; charset=utf-8")             \
    X(utf8, "utf-8")

/* Objects of other modules: X(field, module, attribute). Imported when the module is. */
#define FIO_STATE_IMPORTS(X)                                                    \
    X(aio_BaseEventLoop, "asyncio.base_events", "BaseEventLoop")                \
    X(aio_BufferedProtocol, "asyncio.protocols", "BufferedProtocol")            \
    X(aio_CancelledError, "asyncio.exceptions", "CancelledError")               \
    X(aio_DatagramTransport, "asyncio.transports", "DatagramTransport")         \
    X(aio_FlowControlMixin, "asyncio.transports", "_FlowControlMixin")          \
    X(aio_Future, "asyncio.futures", "Future")                                  \
    X(aio_Handle, "asyncio.events", "Handle")                                   \
    X(aio_Protocol, "asyncio.protocols", "Protocol")                            \
    X(aio_ReadTransport, "asyncio.transports", "ReadTransport")                 \
    X(aio_SSLProtocolTransport, "asyncio.sslproto", "_SSLProtocolTransport")    \
    X(aio_SelectorEventLoop, "asyncio", "SelectorEventLoop")                    \
    X(aio_SendfileMode, "asyncio.constants", "_SendfileMode")                   \
    X(aio_Task, "asyncio.tasks", "Task")                                        \
    X(aio_ThreadSafeHandle, "asyncio.events", FIO_THREADSAFE_HANDLE_NAME)       \
    X(aio_TimerHandle, "asyncio.events", "TimerHandle")                         \
    X(aio_Transport, "asyncio.transports", "Transport")                         \
    X(aio_TransportSocket, "asyncio.trsock", "TransportSocket")                 \
    X(aio_current_tasks, "asyncio.tasks", FIO_CURRENT_TASKS_NAME)               \
    X(aio_extract_stack, "asyncio.format_helpers", "extract_stack")             \
    X(aio_get_extra_info, "asyncio.transports", "BaseTransport.get_extra_info") \
    X(aio_get_running_loop, "asyncio.events", "get_running_loop")               \
    X(aio_get_running_or_none, "asyncio.events", "_get_running_loop")           \
    X(aio_set_running_loop, "asyncio.events", "_set_running_loop")              \
    X(aio_logger, "asyncio.log", "logger")                                      \
    X(aio_tasks, "asyncio", "tasks")                                            \
    X(socket_accept, "socket", "socket.accept")                                 \
    X(socket_family, "_socket", "socket.family")                                \
    X(socket_kind, "_socket", "socket.type")                                    \
    X(socket_proto, "_socket", "socket.proto")                                  \
    X(socket_socket, "socket", "socket")                                        \
    X(socket_fileno, "socket", "socket.fileno")                                 \
    X(tls_DO_HANDSHAKE, "asyncio.sslproto", "SSLProtocolState.DO_HANDSHAKE")    \
    X(tls_FLUSHING, "asyncio.sslproto", "SSLProtocolState.FLUSHING")            \
    X(tls_WRAPPED, "asyncio.sslproto", "SSLProtocolState.WRAPPED")

/* Objects of other modules that an application may never need: X(field, module, attribute).
 * Imported by the first fio_lazy_<field>(st). */
#define FIO_STATE_LAZY(X)                                                   \
    X(aio_IncompleteReadError, "asyncio.exceptions", "IncompleteReadError") \
    X(aio_copy_future_state, "asyncio.futures", "_copy_future_state")       \
    X(aio_current_task, "asyncio.tasks", "current_task")                    \
    X(dt_fromtimestamp, "datetime", "datetime.fromtimestamp")               \
    X(dt_utc, "datetime", "timezone.utc")                                   \
    X(http_SimpleCookie, "http.cookies", "SimpleCookie")                    \
    X(json_default_decoder, "json", "_default_decoder")                     \
    X(json_default_encoder, "json", "_default_encoder")                     \
    X(json_dumps, "json", "dumps")                                          \
    X(json_escape, "json.encoder", "encode_basestring_ascii")               \
    X(json_loads, "json", "loads")                                          \
    X(json_make_encoder, "json.encoder", "c_make_encoder")                  \
    X(md_CIMultiDict, "multidict", "CIMultiDict")                           \
    X(md_CIMultiDictProxy, "multidict", "CIMultiDictProxy")                 \
    X(md_MultiDict, "multidict", "MultiDict")                               \
    X(md_MultiDictProxy, "multidict", "MultiDictProxy")                     \
    X(md_capsule, "multidict._multidict", "CAPI")                           \
    X(mime_guess_type, "mimetypes", "guess_type")                           \
    X(socket_families, "fastaio.addresses", "families")                     \
    X(socket_gaierror, "_socket", "gaierror")                               \
    X(socket_kinds, "fastaio.addresses", "kinds")                           \
    X(ssl_SSLSyscallError, "ssl", "SSLSyscallError")                        \
    X(ssl_SSLObject, "ssl", "SSLObject")                                    \
    X(ssl_SSLWantReadError, "ssl", "SSLWantReadError")                      \
    X(tb_format_exception, "traceback", "format_exception")                 \
    X(types_MappingProxyType, "types", "MappingProxyType")                  \
    X(web_ETag, "fastaio.web.etag", "ETag")                                 \
    X(web_EntityTooLarge, "fastaio.web", "HTTPRequestEntityTooLarge")       \
    X(web_HttpVersion10, "fastaio.web.version", "HttpVersion10")            \
    X(web_HttpVersion11, "fastaio.web.version", "HttpVersion11")            \
    X(web_guess_type, "fastaio.web.filetypes", "guess_type")                \
    X(yarl_URL, "yarl", "URL")

/* Objects that their users make and set; NULL before. */
#define FIO_STATE_OBJECTS(X) \
    X(clock_module)          \
    X(clock_names)           \
    X(clock_user_names)      \
    X(file_cache)            \
    X(json_encoder)          \
    X(json_markers)          \
    X(number_0)              \
    X(number_200)            \
    X(response_class)

/* Freelists of one kind of memory block each (base/pool.h); the field is pool_<name>. */
#define FIO_STATE_POOLS(X) \
    X(head)                \
    X(request)             \
    X(response)

typedef struct {
#define X(name) PyTypeObject *name##Type;
    FIO_STATE_TYPES(X)
#undef X
#define X(name) PyObject *str_##name;
    FIO_STATE_NAMES(X)
#undef X
#define X(field, text) PyObject *str_##field;
    FIO_STATE_TEXTS(X)
#undef X
#define X(field, module, attribute) PyObject *field;
    FIO_STATE_IMPORTS(X)
    FIO_STATE_LAZY(X)
#undef X
#define X(field) PyObject *field;
    FIO_STATE_OBJECTS(X)
#undef X
#define X(name) fio_pool *pool_##name;
    FIO_STATE_POOLS(X)
#undef X
#if FIO_DICT_WATCHERS
    atomic_bool clock_touched; /* loop/clock.h: the time module may have changed, or be another */
    int clock_watcher;
#else
    uint64_t clock_version;      /* of the time module's names when they were looked at */
    uint64_t clock_user_version; /* of asyncio.base_events' */
#endif
    unsigned int handle_version;  /* loop/overrides.h: of asyncio.TimerHandle when looked at */
    unsigned int patches_version; /* of asyncio.SelectorEventLoop when that was looked at */
    bool foreign_handles;         /* its _run(), or that of Handle, is not asyncio's */
    fio_flag heap_kept;           /* loop/loop.c: glibc's thresholds are raised */
    bool tells_contexts;          /* base/context.c: contexts with the same variables can be told */
    uint32_t task_coro;    /* server/handler_task.c: where an asyncio.Task keeps these two, in */
    uint32_t task_context; /* bytes; 0: not known yet */
    size_t gc_head;        /* base/gc.c: bytes the collector has in front of an object, or 0 */
    const struct fio_multidict_api *multidict_api; /* server/multidict.c's; NULL: not looked for */
} fio_state;

extern struct PyModuleDef fio_module;

FIO_MUST_CHECK int fio_state_init(fio_state *st);
int fio_state_traverse(fio_state *st, visitproc visit, void *arg);
int fio_state_clear(fio_state *st);

static inline fio_state *
fio_state_of_module(PyObject *module)
{
    fio_state *st = PyModule_GetState(module);
    assert(st != NULL);
    return st;
}

/* For slots and getters, which are not handed their defining class; works for subclasses.
 * Never call it in tp_dealloc or tp_clear: the module may be gone (CPython GH-115874). */
static inline fio_state *
fio_state_of_type(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &fio_module);
    assert(module != NULL);
    return fio_state_of_module(module);
}

/* Imports `module` and keeps its `attribute` (a dotted path) in `*field`, unless something is there
 * by then. Returns what `*field` keeps, borrowed. */
FIO_MUST_CHECK FIO_BORROWED PyObject *fio_state_import(PyObject **field, const char *module,
                                                       const char *attribute);

/* A field of the state that is set once: what it keeps, or NULL. */
FIO_BORROWED static inline PyObject *
fio_state_get(PyObject *const *field)
{
    return FIO_GIL ? *field : __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

/* NULL: the import failed, exception set. */
#define X(field, module, attribute)                                                         \
    FIO_MUST_CHECK FIO_BORROWED static inline PyObject *fio_lazy_##field(fio_state *st)     \
    {                                                                                       \
        PyObject *value = fio_state_get(&st->field);                                        \
        return FIO_LIKELY(value != NULL) ? value                                            \
                                         : fio_state_import(&st->field, module, attribute); \
    }
FIO_STATE_LAZY(X)
#undef X

/* Makes the heap type of `spec` (bases: NULL, a type or a tuple) and keeps it in `*slot`. */
FIO_MUST_CHECK int fio_state_add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec,
                                      PyObject *bases);

#endif
