/* llhttp's callbacks as events, and its errors by their kinds. No lenient flag is ever set. */

#include "http/parser_events.h"

#include "llhttp.h"

static_assert(sizeof(llhttp_t) <= FIO_LLHTTP_SIZE, "FIO_LLHTTP_SIZE is too small");

static llhttp_t *
llhttp_of(fio_events *events)
{
    return (llhttp_t *)(void *)events->llhttp;
}

static const llhttp_t *
const_llhttp_of(const fio_events *events)
{
    return (const llhttp_t *)(const void *)events->llhttp;
}

static int
take_span(llhttp_t *llhttp, fio_event event, const char *at, size_t size, const char *error)
{
    fio_events *events = FIO_CONTAINER_OF(llhttp, fio_events, llhttp);
    if (events->take(events, event, at, size) < 0) {
        llhttp_set_error_reason(llhttp, error);
        return HPE_USER;
    }
    return HPE_OK;
}

static int
take_notice(llhttp_t *llhttp, fio_event event)
{
    fio_events *events = FIO_CONTAINER_OF(llhttp, fio_events, llhttp);
    return events->take(events, event, NULL, 0);
}

#define SPAN_CALLBACK(name, event)                                               \
    static int name(llhttp_t *llhttp, const char *at, size_t size)               \
    {                                                                            \
        return take_span(llhttp, event, at, size, "`" #name "` callback error"); \
    }

#define NOTICE_CALLBACK(name, event)       \
    static int name(llhttp_t *llhttp)      \
    {                                      \
        return take_notice(llhttp, event); \
    }

SPAN_CALLBACK(on_url, FIO_EVENT_URL)
SPAN_CALLBACK(on_status, FIO_EVENT_STATUS)
SPAN_CALLBACK(on_header_field, FIO_EVENT_HEADER_FIELD)
SPAN_CALLBACK(on_header_value, FIO_EVENT_HEADER_VALUE)
SPAN_CALLBACK(on_body, FIO_EVENT_BODY)
NOTICE_CALLBACK(on_message_begin, FIO_EVENT_MESSAGE_BEGIN)
NOTICE_CALLBACK(on_headers_complete, FIO_EVENT_HEADERS_COMPLETE)
NOTICE_CALLBACK(on_message_complete, FIO_EVENT_MESSAGE_COMPLETE)
NOTICE_CALLBACK(on_chunk_header, FIO_EVENT_CHUNK_HEADER)
NOTICE_CALLBACK(on_chunk_complete, FIO_EVENT_CHUNK_COMPLETE)

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_status = on_status,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
    .on_chunk_header = on_chunk_header,
    .on_chunk_complete = on_chunk_complete,
};

void
fio_events_init(fio_events *events, bool response,
                int (*take)(fio_events *events, fio_event event, const char *at, size_t size))
{
    *events = (fio_events){.take = take};
    llhttp_init(llhttp_of(events), response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
}

fio_events_result
fio_events_feed(fio_events *events, const char *data, size_t size, size_t *used)
{
    llhttp_t *llhttp = llhttp_of(events);
    const llhttp_errno_t error = llhttp_execute(llhttp, data, size);
    *used = size;
    if (error == HPE_OK) {
        return FIO_EVENTS_OK;
    }
    if (error == HPE_PAUSED_UPGRADE) {
        *used = (size_t)(llhttp_get_error_pos(llhttp) - data);
        llhttp_resume_after_upgrade(llhttp);
        return FIO_EVENTS_UPGRADE;
    }
    events->error = llhttp_get_error_reason(llhttp);
    switch (error) {
    case HPE_CB_MESSAGE_BEGIN:
    case HPE_CB_HEADERS_COMPLETE:
    case HPE_CB_MESSAGE_COMPLETE:
    case HPE_CB_CHUNK_HEADER:
    case HPE_CB_CHUNK_COMPLETE:
    case HPE_USER:
        return FIO_EVENTS_CALLBACK;
    case HPE_INVALID_STATUS:
        return FIO_EVENTS_INVALID_STATUS;
    case HPE_INVALID_METHOD:
        return FIO_EVENTS_INVALID_METHOD;
    case HPE_INVALID_URL:
        return FIO_EVENTS_INVALID_URL;
    default:
        return FIO_EVENTS_INVALID;
    }
}

int
fio_events_major(const fio_events *events)
{
    return const_llhttp_of(events)->http_major;
}

int
fio_events_minor(const fio_events *events)
{
    return const_llhttp_of(events)->http_minor;
}

int
fio_events_status(const fio_events *events)
{
    return const_llhttp_of(events)->status_code;
}

const char *
fio_events_method(const fio_events *events)
{
    return llhttp_method_name((llhttp_method_t)const_llhttp_of(events)->method);
}

bool
fio_events_keep_alive(const fio_events *events)
{
    return llhttp_should_keep_alive(const_llhttp_of(events)) != 0;
}

bool
fio_events_upgrade(const fio_events *events)
{
    return const_llhttp_of(events)->upgrade != 0;
}
