/* market.h - a seeded simulated market: candles and open interest for demonstrations and load
 * tests, where no exchange is at hand.
 *
 * Three symbols whose 5m candles drift, cluster and now and then crash, with open interest that
 * builds up and is wiped out; docs/simulated-market.md sets its statistics beside real ones. The
 * same seed gives the same market to the last bit on every compiler and machine: the arithmetic is
 * integers and + - * / sqrt, which IEEE 754 rounds one way only.
 *
 * Pure: no clock, no I/O, no threads, no globals. It knows nothing of feeds or of how fast time
 * passes; a market belongs to one thread at a time. */
#ifndef HEATCAST_FEED_MARKET_H
#define HEATCAST_FEED_MARKET_H

#include "heat/candle.h"

enum { MARKET_SYMBOLS = 3, MARKET_STEP_MS = 5 * 60 * 1000 };

/* "BTCUSDT", "ETHUSDT", "SOLUSDT"; index < MARKET_SYMBOLS. */
const char *market_symbol(size_t index);

struct market;

/* A market at its beginning. The first candle opens at start_ms, rounded down to a whole step. Any
 * seed is as good as any other, 0 too. */
struct market *market_new(uint64_t seed, int64_t start_ms) MUST_CHECK;
void market_free(struct market *market); /* NULL is fine */

/* What one symbol did in one step. */
struct market_tick {
    struct candle candle; /* prices are whole ticks; opens at the previous close */
    struct oi_point oi;   /* as money, at the candle's open time, so in its bucket */
    double oi_base;       /* the same in base units, whole thousandths */
};

/* Fills `ticks`, in the order of market_symbol(), with the next step of every symbol. The n-th
 * call's result depends on the seed and n; start_ms shifts times and nothing else. Times have no
 * gaps; prices stay within a factor of 3 of the first one, open interest stays above 0. To skip
 * ahead, call it: a week is 2016 calls and takes a millisecond or two. */
void market_next(struct market *market, struct market_tick ticks[MARKET_SYMBOLS]);

#endif
