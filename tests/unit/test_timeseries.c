/* What an answer about history may take, on a store of its own. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rest_query.h"
#include "test.h"

#define T0     INT64_C(1764547200000) /* 2025-12-01 */
#define STEP   INT64_C(300000)
#define PLENTY (INT64_C(1) << 40)

enum { CANDLES = 2100 };

static char folder[64], path[96];
static struct store *store;
static struct store_conn *conn;

/* Positions are opened with every candle but the first, each at a price of its own. */
static void append_history(void)
{
    static struct candle candles[CANDLES];
    static struct oi_point points[CANDLES];
    struct store_rows rows = {.symbol = "AUSDT",
                              .candles = candles,
                              .candle_count = CANDLES,
                              .points = points,
                              .point_count = CANDLES};

    for (int i = 0; i < CANDLES; i++) {
        struct candle *c = &candles[i];

        *c = (struct candle){.open_time_ms = T0 + i * STEP, .step_ms = STEP, .volume = 1};
        c->open_e8 = c->high_e8 = c->low_e8 = c->close_e8 = (10000 + i % 50) * PRICE_ONE_E8 + i;
        points[i] = (struct oi_point){.time_ms = c->open_time_ms,
                                      .value_e6 = (1000 + i) * INT64_C(1000000000000)};
    }
    assert_int_equal(store_append(conn, &rows, 1), 0);
}

static void open_history(void)
{
    char message[512];

    strcpy(folder, "/tmp/heatcast-timeseries-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/h.duckdb", folder);
    assert_int_equal(store_open(path, 0, &store, message, sizeof(message)), 0);
    assert_int_equal(store_conn_open(store, &conn), 0);
    append_history();
}

static void close_history(void)
{
    store_conn_close(conn);
    store_close(store);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static struct timeseries_query query_of(bool is_matrix, int64_t bin_e12, int candles)
{
    return (struct timeseries_query){.symbol = "AUSDT",
                                     .interval = "5m",
                                     .interval_ms = STEP,
                                     .from_ms = T0,
                                     .until_ms = T0 + (candles - 1) * STEP,
                                     .visible_ms = INT64_MAX,
                                     .bin_e12 = bin_e12,
                                     .mix = leverage_mix_default,
                                     .is_matrix = is_matrix};
}

struct outcome {
    int status;
    unsigned retry_after_s;
    int64_t taken, left;
    size_t size; /* of the body */
};

static struct outcome ask(const struct timeseries_query *query, int64_t left)
{
    struct budget memory = {left};
    struct site_response response = {0};
    struct outcome outcome = {.taken = timeseries_answer(query, conn, &memory, &response)};

    outcome.status = response.status;
    outcome.retry_after_s = response.retry_after_s;
    outcome.left = memory.left;
    outcome.size = response.body->size;
    assert_int_equal(outcome.taken + outcome.left, left);
    site_response_deinit(&response);
    return outcome;
}

TEST(what_is_left_must_be_enough_to_the_byte)
{
    open_history();
    for (int is_matrix = 0; is_matrix < 2; is_matrix++) {
        struct timeseries_query query = query_of(is_matrix, 10 * PRICE_BIN_ONE_E12, 300);
        struct outcome whole = ask(&query, PLENTY), more;

        assert_int_equal(whole.status, 200);
        assert_true(whole.taken + 1024 > (int64_t)whole.size); /* head and meta are not counted */
        assert_int_equal(ask(&query, whole.taken).status, 200);
        more = ask(&query, whole.taken - 1);
        assert_int_equal(more.status, 503);
        assert_int_equal(more.retry_after_s, LIMIT_RETRY_AFTER_S);
        assert_int_equal(ask(&query, 0).status, 503);
    }
    close_history();
}

/* More than 8192 rows, of which few have anything: 2048 columns are as many as there may be. */
TEST(a_matrix_with_too_many_cells_is_refused_for_little)
{
    struct timeseries_query most = query_of(true, PRICE_BIN_ONE_E12 / 1000, 2048),
                            more = query_of(true, PRICE_BIN_ONE_E12 / 1000, 2049);
    struct outcome fits, refused;

    open_history();
    fits = ask(&most, PLENTY);
    assert_int_equal(fits.status, 200);
    assert_in_range(fits.size, LIMIT_MATRIX_CELLS, LIMIT_MATRIX_CELLS + 1024);
    refused = ask(&more, PLENTY);
    assert_int_equal(refused.status, 422);
    assert_true(refused.taken < 1 << 20);
    close_history();
}
