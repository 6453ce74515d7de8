#include "heat/candle.h"

#include <math.h>

/* A double keeps 15 digits of any decimal and no more, so a price is rounded to 15 digits first:
 * 8 decimals below 10^7 USDT, fewer above. Then price * 10^decimals stays below 2^50 and half a
 * unit is far more than what the multiplication rounds away. */
int price_from_double(double price, int64_t *price_e8)
{
    double scale = 1e8;
    int64_t unit = 1, value;

    if (!(price > 0) || price > PRICE_MAX_USDT) return ERR_RANGE;
    for (double most = 1e7; price >= most; most *= 10) {
        scale /= 10;
        unit *= 10;
    }
    value = llround(price * scale) * unit;
    if (value == 0) return ERR_RANGE;
    *price_e8 = value;
    return 0;
}

double price_to_double(int64_t price_e8)
{
    return (double)price_e8 / 1e8;
}
