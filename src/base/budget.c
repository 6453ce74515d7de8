#include "base/budget.h"

bool budget_take(struct budget *budget, int64_t amount)
{
    int64_t left = atomic_load_explicit(&budget->left, memory_order_relaxed);

    do {
        if (left < amount) return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->left, &left, left - amount,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void budget_give(struct budget *budget, int64_t amount)
{
    atomic_fetch_add_explicit(&budget->left, amount, memory_order_relaxed);
}
