#include "feed/market.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/base.h"

/* Same seed, same bits: every double here comes from + - * / and sqrt, each rounded by itself. A
 * compiler that fuses a * b + c into one rounding would change the last bit; gcc with -std=c17
 * does not, clang must be told. The checksum in the unit test watches over both. */
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
_Static_assert(FLT_EVAL_METHOD == 0, "doubles are reckoned as doubles");

/* The model's numbers, here and in the steps below, were chosen by measuring: they bring the
 * figures of docs/simulated-market.md near the real ones. */

/* ---- what sets the symbols apart --------------------------------------------------------- */

struct traits {
    const char *name;
    int64_t tick_e8;
    double start_ticks;      /* price in ticks that log_price 0 stands for */
    double sigma;            /* of a calm candle's log return; the level of all volatility */
    double common;           /* correlation with the market's common move */
    double crash;            /* how far it falls when the market falls by 1 */
    double oi_base;          /* base units that log_oi 0 stands for */
    double oi_activity;      /* change of open interest for a move of the same number of sigmas */
    double volume_per_sigma; /* base units traded in a candle whose range is one sigma */
};

static const struct traits traits_of[MARKET_SYMBOLS] = {
    {"BTCUSDT", 10000000, 900000, 0.00081, 1.00, 1.0, 90000, 1.00, 125},
    {"ETHUSDT", 1000000, 310000, 0.00098, 0.86, 1.3, 1800000, 0.72, 2000},
    {"SOLUSDT", 100000, 135000, 0.00133, 0.80, 1.4, 9000000, 0.72, 14500},
};

/* The day's rhythm: how much livelier each hour is than the mean, and each day of the week. The
 * market's own week begins with its first candle, wherever that is on the calendar. */
static const double hour_activity[24] = {1.00, 0.95, 1.00, 0.85, 0.72, 0.68, 0.66, 0.68,
                                         0.80, 0.76, 0.72, 0.66, 0.76, 1.00, 1.60, 1.85,
                                         1.50, 1.32, 1.15, 1.15, 1.08, 0.92, 0.92, 0.80};
static const double day_activity[7] = {1.10, 1.20, 1.15, 1.15, 1.05, 0.60, 0.65};

enum {
    STEPS_PER_HOUR = 12,
    STEPS_PER_DAY = 24 * STEPS_PER_HOUR,
    REGIME_STEPS_MIN = 100,
    REGIME_STEPS_SPREAD = 900,
    CRASH_FIRST_STEPS = 2 * STEPS_PER_DAY, /* a week of history always shows one */
    CRASH_FIRST_SPREAD = 4 * STEPS_PER_DAY,
    CRASH_GAP_STEPS = 3 * STEPS_PER_DAY, /* 10 days on average: three a month */
    CRASH_GAP_SPREAD = 14 * STEPS_PER_DAY,
    FALL_STEPS_MIN = 4,
    FALL_STEPS_SPREAD = 6,
    REBOUND_STEPS = 24,
};

static const double log_price_max = 1.0; /* how far a close can be from the start: e */
static const double log_path_max = 1.09; /* and a high or low: less than a factor of 3 */
static const double log_oi_max = 1.0;
static const double mark_noise = 0.00003; /* mark price against last price */

/* ---- state ------------------------------------------------------------------------------- */

struct random {
    uint64_t s[4]; /* xoshiro256**: Blackman and Vigna; never all 0 */
};

struct crash {
    uint32_t wait;         /* candles until the next begins */
    uint32_t fall_left;    /* candles still to fall */
    uint32_t rebound_left; /* and to rise again after that */
    double fall;           /* mean log fall of each, before traits.crash */
    double wipe;           /* mean log loss of open interest of each */
    double rebound;
};

struct walk {
    double log_price;    /* 0 at the start */
    double anchor;       /* where the price has been lately, and returns to */
    double log_oi;       /* of base units, 0 at the start */
    double flow;         /* the part of open interest's change that goes on for a while */
    double oi_noise;     /* log of how restless open interest is now */
    double volume_noise; /* log of how much is traded beyond what the range explains */
    double own_vol;      /* log volatility beyond the market's */
    int64_t close_ticks; /* of the last candle */
};

struct market {
    struct random random;
    int64_t next_ms;
    uint64_t step;     /* candles made so far */
    double slow, fast; /* log volatility: hours to a day; minutes to an hour */
    double shock;      /* log volatility left over from a crash */
    double drift;      /* this regime's, in deviations a candle */
    uint32_t drift_left;
    struct crash crash;
    struct walk walks[MARKET_SYMBOLS];
};

/* ---- numbers ----------------------------------------------------------------------------- */

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t random_next(struct random *random)
{
    uint64_t *s = random->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* splitmix64 spreads the seed over the state; its outputs differ, so they are not all 0. */
static void random_init(struct random *random, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_LEN(random->s); i++) {
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        random->s[i] = z ^ z >> 31;
    }
}

/* [0, 1) */
static double random_uniform(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1p-53;
}

static uint32_t random_below(struct random *random, uint32_t bound)
{
    return (uint32_t)((random_next(random) >> 32) * bound >> 32);
}

/* Nearly normal, mean 0 and deviation 1, within 6: the sum of twelve uniform numbers, three draws
 * of four 16-bit lanes each. Integers until the last step, so no logarithm is needed. */
static double random_normal(struct random *random)
{
    int64_t sum = 0;

    for (int i = 0; i < 3; i++) {
        uint64_t bits = random_next(random);

        sum += (int64_t)((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) +
                         (bits >> 48));
    }
    return (double)(2 * sum - 12 * 65535) * 0x1p-17;
}

/* e^x for |x| <= 4, good to 1e-12: the series of x/16, squared four times. libm's last bits differ
 * between C libraries, these do not. */
static double exp_same(double x)
{
    double term = 1, sum = 1;

    for (int i = 1; i <= 9; i++) {
        term = term * (x * 0.0625) / i;
        sum = sum + term;
    }
    for (int i = 0; i < 4; i++)
        sum = sum * sum;
    return sum;
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static double magnitude(double value)
{
    return value < 0 ? -value : value;
}

/* ---- the market's common state ----------------------------------------------------------- */

static double rhythm_at(uint64_t step)
{
    size_t hour = step / STEPS_PER_HOUR % 24;
    double part = (double)(step % STEPS_PER_HOUR) / STEPS_PER_HOUR;
    double here = hour_activity[hour], next = hour_activity[(hour + 1) % 24];

    return (here + (next - here) * part) * day_activity[step / STEPS_PER_DAY % 7];
}

static void regime_step(struct market *market)
{
    if (market->drift_left > 0) {
        market->drift_left--;
        return;
    }
    market->drift_left = REGIME_STEPS_MIN + random_below(&market->random, REGIME_STEPS_SPREAD);
    market->drift = 0.035 * random_normal(&market->random);
}

static void crash_begin(struct market *market)
{
    struct crash *crash = &market->crash;
    uint32_t steps = FALL_STEPS_MIN + random_below(&market->random, FALL_STEPS_SPREAD);
    double severity = random_uniform(&market->random) * random_uniform(&market->random);
    double fall = 0.025 + 0.05 * severity;

    crash->wait = CRASH_GAP_STEPS + random_below(&market->random, CRASH_GAP_SPREAD);
    crash->fall_left = steps;
    crash->rebound_left = REBOUND_STEPS;
    crash->fall = fall / steps;
    crash->wipe = (0.06 + 0.12 * severity) / steps;
    crash->rebound = fall * (0.4 + 0.4 * random_uniform(&market->random)) / REBOUND_STEPS;
    market->shock = 0.7 + severity;
}

/* What a crash adds to this candle: to the common log return, and to log open interest. */
struct blow {
    double price, oi;
};

static struct blow crash_step(struct market *market)
{
    struct crash *crash = &market->crash;
    double weight = 0.6 + 0.8 * random_uniform(&market->random);

    market->shock = market->shock * 0.97;
    if (crash->wait == 0)
        crash_begin(market);
    else
        crash->wait--;
    if (crash->fall_left > 0) {
        crash->fall_left--;
        return (struct blow){-crash->fall * weight, -crash->wipe * weight};
    }
    if (crash->rebound_left > 0) {
        crash->rebound_left--;
        return (struct blow){crash->rebound * weight, 0};
    }
    return (struct blow){0, 0};
}

/* A large common move makes the next candles livelier, a small one calmer. */
static void volatility_step(struct market *market, double move)
{
    struct random *random = &market->random;

    market->slow = 0.99 * market->slow + 0.062 * random_normal(random);
    market->fast =
        0.85 * market->fast + 0.15 * (magnitude(move) - 0.8) + 0.10 * random_normal(random);
}

/* ---- one symbol's candle ----------------------------------------------------------------- */

static int64_t price_ticks(const struct traits *traits, double log_price)
{
    return (int64_t)(traits->start_ticks * exp_same(log_price) + 0.5);
}

/* How far the path of a candle goes beyond its two ends, one way: the maximum of a Brownian bridge
 * from 0 to `move`. Its law needs an exponential variate, and half the sum of two squared normals
 * is one. */
static double excursion(struct random *random, double move, double sigma)
{
    double a = random_normal(random), b = random_normal(random);

    return 0.5 * (move + sqrt(move * move + sigma * sigma * (a * a + b * b)));
}

/* Moves the price by `move` and fills the candle's prices. Returns its range as a log return. */
static double price_step(struct walk *walk, const struct traits *traits, struct random *random,
                         double move, double sigma, struct candle *candle)
{
    double from = walk->log_price;
    double up, down;
    int64_t open = walk->close_ticks;
    int64_t close, high, low;

    walk->log_price = clamp(from + move, -log_price_max, log_price_max);
    move = walk->log_price - from;
    up = excursion(random, move, sigma);
    down = excursion(random, -move, sigma);
    close = price_ticks(traits, walk->log_price);
    high = price_ticks(traits, clamp(from + up, -log_path_max, log_path_max));
    low = price_ticks(traits, clamp(from - down, -log_path_max, log_path_max));
    candle->open_e8 = open * traits->tick_e8;
    candle->close_e8 = close * traits->tick_e8;
    candle->high_e8 = MAX(high, MAX(open, close)) * traits->tick_e8;
    candle->low_e8 = MIN(low, MIN(open, close)) * traits->tick_e8;
    walk->close_ticks = close;
    return up + down;
}

/* Open interest grows in calm, is given up in large moves, follows the price a little, and is
 * drawn back to its usual size over a week or two. `sigmas` is the candle's move. */
static void oi_step(struct walk *walk, const struct traits *traits, struct random *random,
                    double sigmas, double wipe)
{
    double size = magnitude(sigmas);
    double unit = traits->sigma * traits->oi_activity;
    double change;

    walk->oi_noise = 0.6 * walk->oi_noise + 0.6 * random_normal(random);
    change = (0.13 + 0.26 * size) * exp_same(clamp(walk->oi_noise, -3, 3)) *
             (random_normal(random) + 0.08);
    change = change + 0.03 * sigmas;
    if (size > 2) change = change - 0.06 * (size - 2);
    walk->flow = 0.75 * walk->flow + 0.12 * change;
    change = unit * (change + walk->flow) - 0.0002 * walk->log_oi + wipe;
    walk->log_oi = clamp(walk->log_oi + change, -log_oi_max, log_oi_max);
}

static double volume_step(struct walk *walk, const struct traits *traits, struct random *random,
                          double range_sigmas)
{
    double units;

    walk->volume_noise = 0.9 * walk->volume_noise + 0.15 * random_normal(random);
    units = traits->volume_per_sigma * range_sigmas * sqrt(range_sigmas) *
            exp_same(clamp(walk->volume_noise, -3, 3));
    return (double)(int64_t)(units * 1000 + 0.5) / 1000;
}

/* The open interest a candle opens with; reported as money at the price of that moment. */
static void oi_report(const struct walk *walk, const struct traits *traits, struct random *random,
                      struct market_tick *tick)
{
    double price = (double)tick->candle.open_e8 / (double)PRICE_ONE_E8;
    double mark = price * (1 + mark_noise * random_normal(random));

    tick->oi.time_ms = tick->candle.open_time_ms;
    tick->oi_base = (double)(int64_t)(traits->oi_base * exp_same(walk->log_oi) * 1000 + 0.5) / 1000;
    tick->oi.value_e6 = (int64_t)(tick->oi_base * mark * 1e6 + 0.5);
}

/* ---- public ------------------------------------------------------------------------------ */

const char *market_symbol(size_t index)
{
    assert(index < MARKET_SYMBOLS);
    return traits_of[index].name;
}

struct market *market_new(uint64_t seed, int64_t start_ms)
{
    struct market *market = mem_zalloc(sizeof(*market));
    int64_t into_step = start_ms % MARKET_STEP_MS;

    if (into_step < 0) into_step += MARKET_STEP_MS;
    market->next_ms = start_ms - into_step;
    random_init(&market->random, seed);
    market->crash.wait = CRASH_FIRST_STEPS + random_below(&market->random, CRASH_FIRST_SPREAD);
    for (size_t i = 0; i < MARKET_SYMBOLS; i++)
        market->walks[i].close_ticks = price_ticks(&traits_of[i], 0);
    return market;
}

void market_free(struct market *market)
{
    free(market);
}

/* What all symbols of one step share. */
struct weather {
    double level; /* volatility as a multiple of traits.sigma */
    double move;  /* the common move, a standard variate */
    double swell; /* a rare candle is larger altogether: the fat tail */
    struct blow blow;
};

static void symbol_step(struct market *market, size_t index, const struct weather *weather,
                        struct market_tick *tick)
{
    const struct traits *traits = &traits_of[index];
    struct walk *walk = &market->walks[index];
    struct random *random = &market->random;
    double own = sqrt(1 - traits->common * traits->common);
    double sigma, trend, pull, move, range;

    tick->candle = (struct candle){.open_time_ms = market->next_ms, .step_ms = MARKET_STEP_MS};
    tick->candle.open_e8 = walk->close_ticks * traits->tick_e8;
    oi_report(walk, traits, random, tick);

    walk->own_vol = 0.95 * walk->own_vol + 0.06 * random_normal(random);
    own = own * exp_same(walk->own_vol);
    sigma = traits->sigma * weather->level * weather->swell;
    /* Crashes lose a little more than their rebounds win back; the rest comes slowly. */
    trend = traits->sigma * weather->level * traits->common * market->drift +
            0.000003 * traits->crash -
            0.00003 * walk->log_price * (1 + 8 * walk->log_price * walk->log_price);
    pull = 0.012 * (walk->anchor - walk->log_price);
    walk->anchor += trend + 0.009 * (walk->log_price - walk->anchor) +
                    0.5 * traits->crash * weather->blow.price;
    move = sigma * (traits->common * weather->move + own * random_normal(random)) + trend + pull +
           traits->crash * weather->blow.price;
    range = price_step(walk, traits, random, move, sigma, &tick->candle);
    oi_step(walk, traits, random, move / traits->sigma, weather->blow.oi);
    tick->candle.volume = volume_step(walk, traits, random, range / traits->sigma);
}

void market_next(struct market *market, struct market_tick ticks[MARKET_SYMBOLS])
{
    struct random *random = &market->random;
    struct weather weather;
    double log_level;

    regime_step(market);
    weather.blow = crash_step(market);
    log_level = market->slow + market->fast + market->shock;
    weather.level = rhythm_at(market->step) * exp_same(clamp(log_level, -2.5, 2.5));
    weather.move = random_normal(random);
    weather.swell = random_below(random, 40) == 0 ? 2.5 : 1;
    for (size_t i = 0; i < MARKET_SYMBOLS; i++)
        symbol_step(market, i, &weather, &ticks[i]);
    volatility_step(market, weather.move * weather.swell);
    market->step++;
    market->next_ms += MARKET_STEP_MS;
}
