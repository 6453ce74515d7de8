/* budget.h - so many bytes, or whatever is counted, that several threads may take together.
 *
 * Any thread may take and give back; lock-free. */
#ifndef HEATCAST_BASE_BUDGET_H
#define HEATCAST_BASE_BUDGET_H

#include <stdatomic.h>

#include "base/base.h"

/* `{amount}` is a valid start. */
struct budget {
    _Atomic int64_t left;
};

/* False, and nothing is taken, where less is left. */
bool budget_take(struct budget *budget, int64_t amount) MUST_CHECK;
void budget_give(struct budget *budget, int64_t amount);

#endif
