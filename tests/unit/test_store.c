/* The store on real DuckDB files in a temporary folder. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/store.h"
#include "io/store_conn.h"
#include "io/store_schema.h"

#define T0     INT64_C(1764547200000) /* 2025-12-01 */
#define MINUTE INT64_C(60000)

/* --- a folder of its own for each test --- */

static char folder[64], path[96];

static int remove_entry(const char *name, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(name);
}

static void remove_folder(void)
{
    if (folder[0]) nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void fresh_path(void)
{
    static bool is_registered;

    if (!is_registered) atexit(remove_folder);
    is_registered = true;
    remove_folder();
    strcpy(folder, "/tmp/heatcast-store-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/h.duckdb", folder);
}

static struct store *open_store(unsigned thread_count)
{
    struct store *store = NULL;
    char message[512] = "";
    int err = store_open(path, thread_count, &store, message, sizeof(message));

    if (err) print_error("%s\n", message);
    assert_int_equal(err, 0);
    return store;
}

static struct store_conn *open_conn(struct store *store)
{
    struct store_conn *conn = NULL;

    assert_int_equal(store_conn_open(store, &conn), 0);
    return conn;
}

static void expect_refused(int error, const char *part)
{
    struct store *store = NULL;
    char message[512] = "";

    assert_int_equal(store_open(path, 0, &store, message, sizeof(message)), error);
    assert_null(store);
    if (!strstr(message, part)) fail_msg("'%s' is not in '%s'", part, message);
    assert_non_null(strstr(message, path));
}

static void write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(name, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static struct candle candle_at(int64_t open_time_ms, int64_t step_ms, double price)
{
    struct candle c = {.open_time_ms = open_time_ms, .step_ms = step_ms, .volume = 1.5};

    assert_int_equal(price_from_double(price, &c.open_e8), 0);
    c.close_e8 = c.open_e8 + 1;
    c.high_e8 = c.open_e8 + 2;
    c.low_e8 = c.open_e8 - 1;
    return c;
}

static void append_candles(struct store_conn *conn, const char *symbol,
                           const struct candle *candles, size_t count)
{
    struct store_rows rows = {.symbol = symbol, .candles = candles, .candle_count = count};

    assert_int_equal(store_append(conn, &rows, 1), 0);
}

static size_t count_candles(struct store_conn *conn, const char *symbol)
{
    struct candle *candles = NULL;
    size_t count = 0;

    assert_int_equal(store_candles(conn, symbol, 60 * MINUTE, 0, 0, INT64_MAX, &candles, &count),
                     0);
    free(candles);
    return count;
}

/* --- rows --- */

TEST(a_new_file_is_empty_and_opens_again)
{
    for (int i = 0; i < 2; i++) {
        struct store *store;
        struct store_conn *conn;
        struct store_symbol *symbols = NULL;
        size_t count = 1;

        if (i == 0) fresh_path();
        store = open_store(2);
        conn = open_conn(store);
        assert_int_equal(store_symbols(conn, &symbols, &count), 0);
        assert_int_equal(count, 0);
        free(symbols);
        store_conn_close(conn);
        store_close(store);
    }
}

TEST(rows_come_back_as_they_were_and_in_the_order_that_series_wants)
{
    /* 1m and 5m of the same ten minutes, in no order. */
    struct candle in[12], *out = NULL;
    struct oi_point points[] = {{T0 + MINUTE, 2000001}, {T0, 1}, {T0 + 2 * MINUTE, 0}}, *got = NULL;
    double base[] = {7, NAN, 9};
    struct store_rows rows = {"BTCUSDT", in, 12, points, base, 3};
    struct store *store;
    struct store_conn *conn;
    size_t count = 0;

    fresh_path();
    for (int i = 0; i < 10; i++)
        in[i] = candle_at(T0 + (9 - i) * MINUTE, MINUTE, 90000.01 + i);
    in[10] = candle_at(T0 + 5 * MINUTE, 5 * MINUTE, 0.00000123);
    in[11] = candle_at(T0, 5 * MINUTE, 999999.99999999);
    store = open_store(0);
    conn = open_conn(store);
    assert_int_equal(store_append(conn, &rows, 1), 0);
    assert_int_equal(
        store_candles(conn, "BTCUSDT", 5 * MINUTE, 0, T0, T0 + 9 * MINUTE, &out, &count), 0);
    assert_int_equal(count, 12);
    for (size_t i = 0; i < count; i++) {
        size_t in_bucket = i % 6; /* five of 1m, then the one of 5m */

        assert_int_equal(out[i].step_ms, in_bucket < 5 ? MINUTE : 5 * MINUTE);
        assert_int_equal(out[i].open_time_ms,
                         T0 + (int64_t)(i / 6 * 5 + (in_bucket < 5 ? in_bucket : 0)) * MINUTE);
    }
    assert_memory_equal(&out[5], &in[11], sizeof(*in));
    assert_memory_equal(&out[11], &in[10], sizeof(*in));
    assert_memory_equal(&out[0], &in[9], sizeof(*in));
    free(out);
    assert_int_equal(store_oi(conn, "BTCUSDT", 0, INT64_MAX, &got, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(got[0].value_e6, 1);
    assert_int_equal(got[1].value_e6, 2000001);
    assert_int_equal(got[2].value_e6, 0);
    free(got);
    store_conn_close(conn);
    store_close(store);
}

TEST(ranges_include_both_ends_and_steps_must_divide_the_interval)
{
    struct candle in[] = {candle_at(T0, MINUTE, 5), candle_at(T0, 60 * MINUTE, 6),
                          candle_at(T0 + MINUTE, MINUTE, 7), candle_at(T0 + 2 * MINUTE, MINUTE, 8)};
    static const struct {
        int64_t interval, step, from, until;
        size_t count;
    } cases[] = {
        {60 * MINUTE, 0, T0, T0 + 2 * MINUTE, 4},     {60 * MINUTE, 60 * MINUTE, T0, T0, 1},
        {60 * MINUTE, MINUTE, T0, T0 + MINUTE, 2},    {5 * MINUTE, 0, T0, T0 + 2 * MINUTE, 3},
        {5 * MINUTE, 0, T0 + 1, T0 + 2 * MINUTE, 2},  {5 * MINUTE, 0, T0, T0 + 2 * MINUTE - 1, 2},
        {5 * MINUTE, 60 * MINUTE, T0, T0 + MINUTE, 0}};
    struct store *store;
    struct store_conn *conn;

    fresh_path();
    store = open_store(0);
    conn = open_conn(store);
    append_candles(conn, "A", in, 4);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct candle *out = NULL;
        size_t count = 99;

        assert_int_equal(store_candles(conn, "A", cases[i].interval, cases[i].step, cases[i].from,
                                       cases[i].until, &out, &count),
                         0);
        assert_int_equal(count, cases[i].count);
        free(out);
    }
    store_conn_close(conn);
    store_close(store);
}

TEST(what_is_stored_stays_when_it_is_appended_again)
{
    struct candle first[] = {candle_at(T0, MINUTE, 5), candle_at(T0 + MINUTE, MINUTE, 6)};
    struct candle again[] = {candle_at(T0 + MINUTE, MINUTE, 66),
                             candle_at(T0 + 2 * MINUTE, MINUTE, 7),
                             candle_at(T0 + 2 * MINUTE, MINUTE, 77)};
    struct candle *out = NULL;
    struct store *store;
    struct store_conn *conn;
    size_t count;

    fresh_path();
    store = open_store(0);
    conn = open_conn(store);
    for (int i = 0; i < 3; i++)
        append_candles(conn, "A", first, 2);
    for (int i = 0; i < 3; i++)
        append_candles(conn, "A", again, 3);
    append_candles(conn, "B", first, 2); /* another symbol is another key */
    assert_int_equal(store_candles(conn, "A", MINUTE, 0, 0, INT64_MAX, &out, &count), 0);
    assert_int_equal(count, 3);
    assert_memory_equal(&out[0], &first[0], sizeof(*out));
    assert_memory_equal(&out[1], &first[1], sizeof(*out));
    assert_memory_equal(&out[2], &again[1], sizeof(*out)); /* of equals the first */
    free(out);
    store_conn_close(conn);
    store_close(store);
}

TEST(a_load_counts_what_was_new_known_and_conflicting)
{
    struct candle candles[5000];
    struct store_point points[] = {{T0, 1, 1}, {T0 + MINUTE, 2, 1}};
    struct store_counts counts = {0};
    struct store *store;
    struct store_conn *conn;

    fresh_path();
    for (int i = 0; i < 5000; i++) /* more than one chunk */
        candles[i] = candle_at(T0 + i * MINUTE, MINUTE, 5 + i);
    store = open_store(0);
    conn = open_conn(store);
    assert_int_equal(store_load_begin(conn), 0);
    assert_int_equal(store_load_candles(conn, "A", candles, 3000), 0);
    assert_int_equal(store_load_points(conn, "A", points, 2), 0);
    assert_int_equal(store_load_commit(conn, &counts), 0);
    assert_int_equal(counts.added, 3002);
    assert_int_equal(counts.known, 0);
    candles[1].volume = 3;
    points[1].value = 4;
    assert_int_equal(store_load_begin(conn), 0);
    assert_int_equal(store_load_candles(conn, "A", candles, 5000), 0);
    assert_int_equal(store_load_points(conn, "A", points, 2), 0);
    assert_int_equal(store_load_commit(conn, &counts), 0);
    assert_int_equal(counts.added, 2000);
    assert_int_equal(counts.known, 3002);
    assert_int_equal(counts.conflicting, 2);
    store_conn_close(conn);
    store_close(store);
}

TEST(a_rolled_back_load_leaves_nothing_and_the_connection_works_on)
{
    struct candle c = candle_at(T0, MINUTE, 5);
    struct store *store;
    struct store_conn *conn;

    fresh_path();
    store = open_store(0);
    conn = open_conn(store);
    assert_int_equal(store_load_begin(conn), 0);
    assert_int_equal(store_load_candles(conn, "A", &c, 1), 0);
    store_load_rollback(conn);
    assert_int_equal(count_candles(conn, "A"), 0);
    append_candles(conn, "A", &c, 1);
    assert_int_equal(count_candles(conn, "A"), 1);
    store_conn_close(conn);
    store_close(store);
}

TEST(a_failed_statement_leaves_the_connection_usable)
{
    struct candle c = candle_at(T0, MINUTE, 5);
    struct store *store;
    struct store_conn *conn;

    fresh_path();
    store = open_store(0);
    conn = open_conn(store);
    assert_int_equal(duck_run(&conn->duck, "SELECT * FROM nowhere"), ERR_DATABASE);
    assert_non_null(strstr(store_conn_error(conn), "nowhere"));
    assert_int_equal(store_begin(conn), 0);
    assert_int_equal(duck_run(&conn->duck, "INSERT INTO candle VALUES (1)"), ERR_DATABASE);
    store_rollback(conn);
    append_candles(conn, "A", &c, 1);
    assert_int_equal(count_candles(conn, "A"), 1);
    assert_string_equal(store_conn_error(conn), "");
    store_conn_close(conn);
    store_close(store);
}

TEST(symbols_tell_the_finest_step_and_all_ranges)
{
    struct candle btc[] = {candle_at(T0 + 60 * MINUTE, MINUTE, 6), candle_at(T0, 60 * MINUTE, 5),
                           candle_at(T0 + 61 * MINUTE, MINUTE, 7),
                           candle_at(T0 + 240 * MINUTE, 60 * MINUTE, 8)};
    struct oi_point points[] = {{T0, 5}, {T0 + 10, 6}};
    struct store_rows rows[] = {{"BTCUSDT", btc, 4, NULL, NULL, 0},
                                {"ACEUSDT", NULL, 0, points, NULL, 2}};
    struct store_symbol *s = NULL;
    struct store *store;
    struct store_conn *conn;
    size_t count = 0;

    fresh_path();
    store = open_store(0);
    conn = open_conn(store);
    assert_int_equal(store_append(conn, rows, 2), 0);
    assert_int_equal(store_symbols(conn, &s, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(s[0].symbol, "ACEUSDT");
    assert_int_equal(s[0].step_ms, 0);
    assert_int_equal(s[0].oi_first_ms, T0);
    assert_int_equal(s[0].oi_last_ms, T0 + 10);
    assert_string_equal(s[1].symbol, "BTCUSDT");
    assert_int_equal(s[1].step_ms, MINUTE);
    assert_int_equal(s[1].first_open_ms, T0 + 60 * MINUTE);
    assert_int_equal(s[1].last_open_ms, T0 + 61 * MINUTE);
    assert_float_equal(s[1].first_close, 6.00000001, 1e-12);
    assert_float_equal(s[1].last_close, 7.00000001, 1e-12);
    assert_int_equal(s[1].oi_first_ms, -1);
    assert_int_equal(s[1].oi_last_ms, -1);
    assert_int_equal(s[1].candle_first_ms, T0);
    free(s);
    store_conn_close(conn);
    store_close(store);
}

TEST(gaps_are_where_neighbours_are_further_apart_than_usual)
{
    struct candle candles[10];
    struct oi_point points[40];
    struct store_rows rows = {"A", candles, 0, points, NULL, 0};
    struct store_gap *gaps = NULL;
    struct store_series *series = NULL;
    struct store *store;
    struct store_conn *conn;
    size_t count = 0;

    fresh_path();
    for (int i = 0; i < 10; i++)
        if (i != 3 && i != 4) candles[rows.candle_count++] = candle_at(T0 + i * MINUTE, MINUTE, 5);
    for (int i = 0; i < 20; i++) /* hourly, then of 5m with one missing */
        points[rows.point_count++] = (struct oi_point){T0 + i * 60 * MINUTE, 1};
    for (int i = 1; i < 20; i++)
        if (i != 10)
            points[rows.point_count++] =
                (struct oi_point){T0 + 19 * 60 * MINUTE + i * 5 * MINUTE, 1};
    store = open_store(0);
    conn = open_conn(store);
    assert_int_equal(store_append(conn, &rows, 1), 0);
    assert_int_equal(store_gaps(conn, "A", MINUTE, &gaps, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(gaps[0].after_ms, T0 + 2 * MINUTE);
    assert_int_equal(gaps[0].before_ms, T0 + 5 * MINUTE);
    assert_int_equal(gaps[0].missing, 2);
    free(gaps);
    assert_int_equal(store_gaps(conn, "A", 0, &gaps, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(gaps[0].after_ms, T0 + (19 * 60 + 45) * MINUTE);
    assert_int_equal(gaps[0].missing, 1);
    free(gaps);
    assert_int_equal(store_series(conn, &series, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(series[0].step_ms, 0);
    assert_int_equal(series[0].row_count, 38);
    assert_int_equal(series[1].step_ms, MINUTE);
    assert_int_equal(series[1].row_count, 8);
    free(series);
    store_conn_close(conn);
    store_close(store);
}

TEST(settings_are_kept_in_the_file)
{
    struct store *store;
    struct store_conn *conn;
    char *value = NULL;

    fresh_path();
    store = open_store(0);
    conn = open_conn(store);
    assert_int_equal(store_setting_get(conn, "sim.seed", &value), 0);
    assert_null(value);
    assert_int_equal(store_setting_set(conn, "sim.seed", "1"), 0);
    assert_int_equal(store_setting_set(conn, "sim.seed", "it's 2"), 0);
    store_conn_close(conn);
    store_close(store);
    store = open_store(0);
    conn = open_conn(store);
    assert_int_equal(store_setting_get(conn, "sim.seed", &value), 0);
    assert_string_equal(value, "it's 2");
    free(value);
    store_conn_close(conn);
    store_close(store);
}

TEST(nothing_outside_the_file_is_reachable_by_sql)
{
    struct store *store;
    struct store_conn *conn;

    fresh_path();
    store = open_store(0);
    conn = open_conn(store);
    assert_int_equal(duck_run(&conn->duck, "SELECT * FROM read_csv('/etc/passwd')"), ERR_DATABASE);
    assert_int_equal(duck_run(&conn->duck, "INSTALL httpfs"), ERR_DATABASE);
    assert_int_equal(duck_run(&conn->duck, "SET enable_external_access = true"), ERR_DATABASE);
    store_conn_close(conn);
    store_close(store);
}

/* --- jobs --- */

struct test_job {
    struct store_job base;
    struct loop *loop;
    sem_t *started, *go;
    uv_thread_t worked_on, done_on;
    unsigned *left; /* jobs still out; the last one closes the loop */
    struct store_rows rows;
    int result;
    bool is_done;
};

static void on_done(struct store_job *base)
{
    struct test_job *job = container_of(base, struct test_job, base);

    job->done_on = uv_thread_self();
    job->is_done = true;
    if (--*job->left == 0) loop_close(job->loop);
}

static void submit(struct store *store, struct loop *loop, struct test_job *job, unsigned *left)
{
    job->base.done = on_done;
    job->loop = loop;
    job->left = left;
    assert_int_equal(store_submit(store, loop, &job->base), 0);
}

static void note_thread(struct store_job *base, struct store_conn *conn)
{
    struct test_job *job = container_of(base, struct test_job, base);

    job->worked_on = uv_thread_self();
    job->result = (int)count_candles(conn, "A");
}

TEST(jobs_run_on_the_stores_threads_and_come_back_on_the_loop)
{
    struct test_job jobs[20] = {0};
    unsigned left = ARRAY_LEN(jobs);
    uv_thread_t here = uv_thread_self();
    struct store *store;
    struct loop loop;

    fresh_path();
    store = open_store(3);
    assert_int_equal(loop_init(&loop), 0);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i].base.work = note_thread;
        submit(store, &loop, &jobs[i], &left);
    }
    loop_run(&loop);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        assert_true(jobs[i].is_done);
        assert_false(jobs[i].base.is_dropped);
        assert_false(uv_thread_equal(&jobs[i].worked_on, &here));
        assert_true(uv_thread_equal(&jobs[i].done_on, &here));
    }
    store_close(store);
    loop_deinit(&loop);
}

static void append_rows(struct store_job *base, struct store_conn *conn)
{
    struct test_job *job = container_of(base, struct test_job, base);

    job->result = store_append(conn, &job->rows, 1);
}

TEST(writers_on_several_threads_do_not_meet)
{
    struct test_job jobs[40] = {0};
    struct candle candles[40];
    unsigned left = ARRAY_LEN(jobs);
    struct store *store;
    struct store_conn *conn;
    struct loop loop;

    fresh_path();
    store = open_store(4);
    assert_int_equal(loop_init(&loop), 0);
    for (int i = 0; i < 40; i++)
        candles[i] = candle_at(T0 + i * MINUTE, MINUTE, 5);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) { /* each its own and the first ten again */
        jobs[i].base.work = append_rows;
        jobs[i].rows =
            (struct store_rows){.symbol = "A", .candles = candles, .candle_count = i + 1};
        submit(store, &loop, &jobs[i], &left);
    }
    loop_run(&loop);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        assert_int_equal(jobs[i].result, 0);
    conn = open_conn(store);
    assert_int_equal(count_candles(conn, "A"), 40);
    store_conn_close(conn);
    store_close(store);
    loop_deinit(&loop);
}

static void wait_for_go(struct store_job *base, struct store_conn *conn)
{
    struct test_job *job = container_of(base, struct test_job, base);

    (void)conn;
    sem_post(job->started);
    sem_wait(job->go);
}

TEST(the_queue_is_full_at_its_limit_exactly)
{
    static struct test_job jobs[LIMIT_STORE_JOBS + 2];
    unsigned left = LIMIT_STORE_JOBS + 1;
    struct store *store;
    struct loop loop;
    sem_t started, go;

    fresh_path();
    sem_init(&started, 0, 0);
    sem_init(&go, 0, 0);
    store = open_store(1);
    assert_int_equal(loop_init(&loop), 0);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        jobs[i] = (struct test_job){.base = {.work = wait_for_go}, .started = &started, .go = &go};
    submit(store, &loop, &jobs[0], &left); /* this one runs, so that the others wait */
    sem_wait(&started);
    for (size_t i = 1; i <= LIMIT_STORE_JOBS; i++)
        submit(store, &loop, &jobs[i], &left);
    assert_int_equal(store_submit(store, &loop, &jobs[LIMIT_STORE_JOBS + 1].base), ERR_FULL);
    for (size_t i = 0; i <= LIMIT_STORE_JOBS; i++)
        sem_post(&go);
    loop_run(&loop);
    for (size_t i = 0; i <= LIMIT_STORE_JOBS; i++)
        assert_true(jobs[i].is_done && !jobs[i].base.is_dropped);
    assert_false(jobs[LIMIT_STORE_JOBS + 1].is_done);
    store_close(store);
    loop_deinit(&loop);
    sem_destroy(&started);
    sem_destroy(&go);
}

TEST(slow_questions_never_hold_up_what_the_live_stream_waits_for)
{
    struct test_job slow[4] = {0}, live = {.base = {.work = wait_for_go, .is_live = true}};
    unsigned left = ARRAY_LEN(slow) + 1;
    sem_t slow_started, slow_go, live_started, live_go;
    struct store *store;
    struct loop loop;

    fresh_path();
    sem_init(&slow_started, 0, 0);
    sem_init(&slow_go, 0, 0);
    sem_init(&live_started, 0, 0);
    sem_init(&live_go, 0, 1);
    store = open_store(2);
    assert_int_equal(loop_init(&loop), 0);
    for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
        slow[i] =
            (struct test_job){.base.work = wait_for_go, .started = &slow_started, .go = &slow_go};
        submit(store, &loop, &slow[i], &left);
    }
    sem_wait(&slow_started); /* one runs, the others wait though a thread is free */
    live.started = &live_started;
    live.go = &live_go;
    submit(store, &loop, &live, &left);
    sem_wait(&live_started); /* it runs beside the slow one, before those that came earlier */
    assert_int_equal(sem_trywait(&slow_started), -1);
    for (size_t i = 0; i < ARRAY_LEN(slow); i++)
        sem_post(&slow_go);
    loop_run(&loop);
    assert_true(live.is_done);
    for (size_t i = 0; i < ARRAY_LEN(slow); i++)
        assert_true(slow[i].is_done);
    store_close(store);
    loop_deinit(&loop);
    sem_destroy(&slow_started);
    sem_destroy(&slow_go);
    sem_destroy(&live_started);
    sem_destroy(&live_go);
}

static void run_slow_query(struct store_job *base, struct store_conn *conn)
{
    struct test_job *job = container_of(base, struct test_job, base);

    sem_post(job->started);
    do { /* would take hours, and a caller that goes on is stopped again */
        job->result = duck_run(&conn->duck, "SELECT sum(hash(a.range * b.range)) FROM"
                                            " range(10000000) a, range(10000000) b");
    } while (job->result == 0);
    if (store_conn_is_stopping(conn))
        job->result = duck_run(&conn->duck, "SELECT 1") == ERR_STOPPED ? job->result : 1;
}

TEST(closing_during_a_slow_query_ends_soon_and_drops_what_waits)
{
    struct test_job slow = {.base = {.work = run_slow_query}};
    struct test_job waiting[3] = {0};
    struct candle c = candle_at(T0, MINUTE, 5);
    struct store_rows rows = {.symbol = "A", .candles = &c, .candle_count = 1};
    unsigned left = 4;
    struct store *store;
    struct store_conn *conn;
    struct loop loop;
    sem_t started;
    int64_t start_us;

    fresh_path();
    sem_init(&started, 0, 0);
    store = open_store(1);
    assert_int_equal(loop_init(&loop), 0);
    conn = open_conn(store);
    assert_int_equal(store_append(conn, &rows, 1), 0);
    store_conn_close(conn);
    slow.started = &started;
    submit(store, &loop, &slow, &left);
    sem_wait(&started);
    for (size_t i = 0; i < 3; i++) {
        waiting[i].base.work = note_thread;
        submit(store, &loop, &waiting[i], &left);
    }
    usleep(200000);
    start_us = clock_monotonic_us();
    store_close(store);
    assert_true(clock_monotonic_us() - start_us < 2000000);
    loop_run(&loop);
    assert_true(slow.is_done && !slow.base.is_dropped);
    assert_int_equal(slow.result, ERR_STOPPED);
    for (size_t i = 0; i < 3; i++)
        assert_true(waiting[i].is_done && waiting[i].base.is_dropped);
    loop_deinit(&loop);
    sem_destroy(&started);
    store = open_store(0); /* what was committed is there */
    conn = open_conn(store);
    assert_int_equal(count_candles(conn, "A"), 1);
    store_conn_close(conn);
    store_close(store);
}

/* --- the file --- */

/* This program again, in another process: it opens the file that the environment names and says
 * what came of it, or appends for ever. */
__attribute__((constructor(101))) static void be_another_process(void)
{
    const char *open_path = getenv("HEATCAST_TEST_OPEN"), *what = getenv("HEATCAST_TEST_DO");
    struct store *store = NULL;
    struct store_conn *conn = NULL;
    char message[512] = "";
    int err;

    if (!open_path) return;
    err = store_open(open_path, 0, &store, message, sizeof(message));
    printf("%d %s\n", err, message);
    fflush(stdout);
    if (!err && what && strcmp(what, "append") == 0 && !store_conn_open(store, &conn)) {
        for (int64_t at = 0;; at += 10) {
            struct candle ten[10];
            struct store_rows rows = {.symbol = "A", .candles = ten, .candle_count = 10};

            for (int i = 0; i < 10; i++)
                ten[i] = candle_at(T0 + (at + i) * MINUTE, MINUTE, 5);
            if (store_append(conn, &rows, 1)) break;
            printf("%lld\n", (long long)at + 10);
            fflush(stdout);
        }
    }
    if (!err) store_close(store);
    fflush(stdout);
    _exit(0);
}

static pid_t start_another(const char *what, FILE **out)
{
    char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int pipes[2];
    pid_t pid;

    assert_true(size > 0);
    self[size] = '\0';
    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pipes[1], 1);
        close(pipes[0]);
        setenv("HEATCAST_TEST_OPEN", path, 1);
        setenv("HEATCAST_TEST_DO", what, 1);
        execl(self, "another-heatcast", (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    *out = fdopen(pipes[0], "r");
    return pid;
}

TEST(a_second_process_is_told_who_holds_the_file_and_what_to_do)
{
    struct store *store;
    char line[700] = "", pid[300];
    FILE *out;
    pid_t child;

    fresh_path();
    store = open_store(0);
    child = start_another("open", &out);
    assert_non_null(fgets(line, sizeof(line), out));
    fclose(out);
    waitpid(child, NULL, 0);
    snprintf(pid, sizeof(pid), "%s (PID %ld)", program_invocation_short_name, (long)getpid());
    assert_int_equal(atoi(line), ERR_BUSY);
    assert_non_null(strstr(line, path));
    if (!strstr(line, pid)) fail_msg("'%s' is not in '%s'", pid, line);
    assert_non_null(strstr(line, "stop that one, or name another file with --db"));
    store_close(store);
    child = start_another("open", &out); /* now it may */
    assert_non_null(fgets(line, sizeof(line), out));
    fclose(out);
    waitpid(child, NULL, 0);
    assert_int_equal(atoi(line), 0);
}

TEST(a_killed_writer_loses_nothing_that_was_committed_and_leaves_no_half)
{
    uint64_t seed = 7;

    fresh_path();
    for (int round = 0; round < 8; round++) {
        long long committed = 0;
        struct store *store;
        struct store_conn *conn;
        char line[100];
        size_t count;
        FILE *out;
        pid_t child = start_another("append", &out);

        assert_non_null(fgets(line, sizeof(line), out));
        assert_int_equal(atoi(line), 0);
        usleep((useconds_t)(test_random(&seed) % 100000));
        kill(child, SIGKILL);
        while (fgets(line, sizeof(line), out))
            committed = atoll(line);
        fclose(out);
        waitpid(child, NULL, 0);
        store = open_store(0);
        conn = open_conn(store);
        count = count_candles(conn, "A");
        assert_true(count >= (size_t)committed);
        assert_int_equal(count % 10, 0);
        store_conn_close(conn);
        store_close(store);
    }
}

TEST(half_made_files_of_killed_processes_are_cleared_away)
{
    char left[160], other[160];
    struct store *store;
    FILE *out;
    pid_t gone = start_another("open", &out); /* a number that nobody has any more */

    fclose(out);
    waitpid(gone, NULL, 0);
    fresh_path();
    snprintf(left, sizeof(left), "%s.new-%ld", path, (long)gone);
    snprintf(other, sizeof(other), "%s.new-1", path); /* init lives */
    write_file(left, "x", 1);
    write_file(other, "x", 1);
    store = open_store(0);
    assert_int_not_equal(access(left, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    store_close(store);
}

TEST(what_is_no_file_of_ours_is_refused_with_a_reason)
{
    static const char text[] = "open_time,open\n1,2\n";

    fresh_path();
    write_file(path, text, sizeof(text));
    expect_refused(ERR_DATABASE, "is not a DuckDB file");
    write_file(path, "", 0);
    expect_refused(ERR_DATABASE, "is not a DuckDB file");
    unlink(path);
    strcat(path, ".csv"); /* that DuckDB itself would open, as a view */
    write_file(path, text, sizeof(text));
    expect_refused(ERR_DATABASE, "is not a DuckDB file");
    strcat(path, "?threads=9");
    expect_refused(ERR_DATABASE, "its name has a ?");
    *strstr(path, ".csv") = '\0';
    assert_int_equal(mkdir(path, 0755), 0);
    expect_refused(ERR_DATABASE, "is a folder");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(ERR_DATABASE, "is not a regular file");
    unlink(path);
    strcat(path, "/none/x.duckdb");
    expect_refused(ERR_DATABASE, "does not exist or may not be entered; make it first");
    path[0] = '\0';
    expect_refused(ERR_DATABASE, "no database file is named");
}

TEST(a_damaged_file_is_refused)
{
    struct store *store;

    fresh_path();
    store = open_store(0);
    store_close(store);
    assert_int_equal(truncate(path, 6000), 0);
    expect_refused(ERR_DATABASE, "is damaged");
}

TEST(special_names_are_names)
{
    char here[4096];
    struct store *store;

    fresh_path();
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(folder), 0);
    strcpy(path, ":memory:");
    store = open_store(0);
    store_close(store);
    assert_int_equal(access("./:memory:", F_OK), 0);
    assert_int_equal(chdir(here), 0);
}

/* --- versions --- */

static void run_sql(const char *sql)
{
    duckdb_database database;
    duckdb_connection connection;
    duckdb_result result;

    assert_int_equal(duckdb_open(path, &database), DuckDBSuccess);
    assert_int_equal(duckdb_connect(database, &connection), DuckDBSuccess);
    if (duckdb_query(connection, sql, &result) != DuckDBSuccess)
        fail_msg("%s", duckdb_result_error(&result));
    duckdb_destroy_result(&result);
    duckdb_disconnect(&connection);
    duckdb_close(&database);
}

TEST(a_path_cannot_write_to_the_terminal_that_its_refusal_is_shown_on)
{
    struct store *store;
    char message[512] = "";

    assert_int_equal(
        store_open("/tmp/no-such\x1b[2J\xc2\x9b\x9b/h.duckdb", 0, &store, message, sizeof(message)),
        ERR_DATABASE);
    assert_non_null(strstr(message, "/tmp/no-such?[2J?"));
    assert_null(strpbrk(message, "\x1b\x9b"));
}

TEST(a_file_of_a_newer_version_is_refused)
{
    struct store *store;

    fresh_path();
    store = open_store(0);
    store_close(store);
    run_sql("UPDATE heatcast_schema SET version = 99");
    expect_refused(ERR_NEWER,
                   "written by a newer heatcast (schema version 99, this one knows up to");
}

TEST(a_duckdb_file_of_another_program_is_refused_and_left_alone)
{
    fresh_path();
    run_sql("CREATE TABLE candle (a INTEGER)");
    expect_refused(ERR_DATABASE, "is a DuckDB file of another program");
    run_sql("INSERT INTO candle VALUES (1)");
}

/* An earlier file and the steps of a program that knows more, or one of whose steps fails. */
static int migrate_with(const char *more_sql, unsigned more_count, int64_t *version, char *error)
{
    struct schema_step steps[8];
    const atomic_bool never = false;
    duckdb_database database;
    struct duck duck;
    int err;

    memcpy(steps, schema_steps, schema_version * sizeof(*steps));
    for (unsigned i = 0; i < more_count; i++)
        steps[schema_version + i].sql = more_sql;
    assert_int_equal(duckdb_open(path, &database), DuckDBSuccess);
    assert_int_equal(duck_init(&duck, database, &never), 0);
    err = schema_migrate(&duck, steps, schema_version + more_count, version);
    strcpy(error, duck.error);
    duck_deinit(&duck);
    duckdb_close(&database);
    return err;
}

TEST(an_older_file_is_brought_forward_with_its_rows)
{
    struct candle c = candle_at(T0, MINUTE, 5);
    struct store *store;
    struct store_conn *conn;
    char error[512];
    int64_t version = -1;

    fresh_path();
    store = open_store(0);
    conn = open_conn(store);
    append_candles(conn, "A", &c, 1);
    store_conn_close(conn);
    store_close(store);
    assert_int_equal(migrate_with("ALTER TABLE candle ADD COLUMN source VARCHAR DEFAULT 'dump'", 1,
                                  &version, error),
                     0);
    assert_int_equal(version, schema_version + 1);
    run_sql("SELECT CASE WHEN count(*) = 1 THEN 1 ELSE error('lost') END FROM candle"
            " WHERE source = 'dump' AND symbol = 'A'");
    expect_refused(ERR_NEWER, "written by a newer heatcast"); /* by the program that knows less */
}

TEST(a_step_that_fails_leaves_the_file_at_the_version_before)
{
    struct store *store;
    char error[512];
    int64_t version = -1;

    fresh_path();
    assert_int_equal(
        migrate_with("CREATE TABLE more (a INTEGER); SELECT error('no more')", 1, &version, error),
        ERR_DATABASE);
    assert_non_null(strstr(error, "no more"));
    assert_int_equal(version, schema_version); /* the steps before it are done and stay */
    store = open_store(0);
    store_close(store);
    run_sql("CREATE TABLE more (b INTEGER)"); /* there is no half of the step */
}
