/* candle.h - what the market model is fed with, and the units it reckons in.
 *
 * Prices are exact decimals: integers in units of 10^-8 USDT (`_e8`). Exchanges quote at most 8
 * decimals, so nothing is lost, and "the low touches the liquidation price exactly" is an integer
 * comparison, as in the reference model's decimal arithmetic. A product of a price and a
 * leverage factor of 5 decimals is exact in units of 10^-13 (`_e13`). */
#ifndef HEATCAST_HEAT_CANDLE_H
#define HEATCAST_HEAT_CANDLE_H

#include "base/base.h"

#define PRICE_ONE_E8   INT64_C(100000000)
#define PRICE_MAX_USDT 1e9  /* prices are above 0 and at most this; e8 then fits int64 with room */
#define VOLUME_MAX     1e18 /* base units; sums of a year of them stay finite */
#define OI_MAX_USDT    1e12 /* open interest is 0 up to this; e6 then fits int64 */

/* One closed candle of a symbol. open, high, low, close: 0 < low <= open, close <= high. */
struct candle {
    int64_t open_time_ms;
    int64_t step_ms; /* its length: 60000 for 1m */
    int64_t open_e8, high_e8, low_e8, close_e8;
    double volume; /* base asset, >= 0 */
};

/* Open interest of a symbol at a moment, as money. */
struct oi_point {
    int64_t time_ms;
    int64_t value_e6; /* 10^-6 USDT, so that means of equal data are equal */
};

/* A decimal in double form as an exact e8 price: the nearest of 8 decimals and 15 digits, which is
 * the decimal meant when it had no more. ERR_RANGE (out parameter untouched) unless it is above 0
 * after that, at most PRICE_MAX_USDT and not NaN. */
int price_from_double(double price, int64_t *price_e8) MUST_CHECK;
double price_to_double(int64_t price_e8);

#endif
