/* sum.h - a sum that does not drift: terms come and go for a year, and what is left is right.
 *
 * A double with the rounding error it carries (Dekker's double-double): 32 digits of the largest
 * value it ever had, where a bare double keeps 16. Needs the compiler not to reorder floating
 * point, so no -ffast-math. */
#ifndef HEATCAST_HEAT_SUM_H
#define HEATCAST_HEAT_SUM_H

struct sum {
    double value; /* the sum rounded to a double */
    double rest;  /* what that rounding left out */
};

static inline void sum_add(struct sum *sum, double term)
{
    double total = sum->value + term;
    double part = total - sum->value;
    double error = (sum->value - (total - part)) + (term - part); /* exact: Knuth's two-sum */
    double rest = sum->rest + error;

    sum->value = total + rest;
    sum->rest = rest - (sum->value - total);
}

/* The terms were measured in another unit: `factor` of the new one. */
static inline void sum_scale(struct sum *sum, double factor)
{
    sum->value *= factor;
    sum->rest *= factor;
}

#endif
