#include "rest_history.h"

#include <stdlib.h>
#include <string.h>

#include "rest_query.h"

struct address_use {
    char address[48];
    unsigned count; /* requests under way; 0: the place is free */
};

struct rest_history {
    struct engine *engine;
    struct loop *loop;
    struct store *store;
    struct address_use uses[LIMIT_STORE_JOBS * 2];
    struct budget memory; /* of timeseries in the making */
};

struct history_job {
    struct store_job job;
    struct rest_history *history;
    struct site_request *request;
    struct address_use *use;
    bool is_klines;
    union {
        struct klines_query klines;
        struct timeseries_query timeseries;
    } query;
};

struct rest_history *rest_history_new(struct engine *engine, struct loop *loop, struct store *store)
{
    struct rest_history *history = mem_zalloc(sizeof(*history));

    history->engine = engine;
    history->loop = loop;
    history->store = store;
    history->memory.left = LIMIT_TIMESERIES_BYTES;
    return history;
}

void rest_history_free(struct rest_history *history)
{
    free(history);
}

/* The address's place, one more request counted in it; NULL when it, or the table, is full. */
static struct address_use *take_place(struct rest_history *history, const char *address)
{
    struct address_use *place = NULL;

    for (size_t i = 0; i < ARRAY_LEN(history->uses); i++) {
        struct address_use *use = &history->uses[i];

        if (use->count && strcmp(use->address, address) == 0) {
            place = use;
            break;
        }
        if (!use->count && !place) place = use;
    }
    if (!place || place->count >= LIMIT_REQUESTS_PER_ADDRESS) return NULL;
    if (!place->count++) strcpy(place->address, address);
    return place;
}

static void work(struct store_job *base, struct store_conn *conn)
{
    struct history_job *job = container_of(base, struct history_job, job);
    struct budget *memory = &job->history->memory;
    struct site_response *response = &job->request->response;
    int64_t taken = 0;

    if (job->is_klines)
        klines_answer(&job->query.klines, conn, response);
    else
        taken = timeseries_answer(&job->query.timeseries, conn, memory, response);
    if (response->status == 200) site_finish(response, job->request->accepts_gzip);
    budget_give(memory, taken);
}

static void finish(struct history_job *job)
{
    job->use->count--;
    site_answer(job->request);
    free(job);
}

static void done(struct store_job *base)
{
    struct history_job *job = container_of(base, struct history_job, job);

    if (base->is_dropped) site_fail(&job->request->response, 503, "the server is stopping");
    finish(job);
}

static void submit(struct history_job *job)
{
    struct site_request *request = job->request;

    job->use = take_place(job->history, request->address);
    if (!job->use) {
        site_fail(&request->response, 429, "too many requests of this address are being answered");
        site_answer(request);
        free(job);
        return;
    }
    job->job = (struct store_job){.work = work, .done = done};
    if (!store_submit(job->history->store, job->history->loop, &job->job)) return;
    site_fail(&request->response, 503, "the server is busy with other requests; try again later");
    finish(job);
}

static void ask(struct rest_history *history, struct site_request *request, bool is_klines)
{
    struct history_job *job = mem_zalloc(sizeof(*job));
    struct params params = {str_of(request->query), history->engine, &request->response};
    bool ok;

    job->history = history;
    job->request = request;
    job->is_klines = is_klines;
    ok = is_klines ? klines_read(&params, &job->query.klines)
                   : timeseries_read(&params, &job->query.timeseries);
    if (ok) {
        submit(job);
        return;
    }
    site_answer(request);
    free(job);
}

void rest_history_klines(struct rest_history *history, struct site_request *request)
{
    ask(history, request, true);
}

void rest_history_timeseries(struct rest_history *history, struct site_request *request)
{
    ask(history, request, false);
}
