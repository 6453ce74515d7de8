/* process.h - what the kernel says of this process: processor, memory, files, age. */
#ifndef HEATCAST_IO_PROCESS_H
#define HEATCAST_IO_PROCESS_H

#include "base/base.h"

/* A look at it. What the kernel does not tell (there is no /proc) is -1. */
struct process {
    int64_t cpu_us; /* of all threads, user and system */
    int64_t resident_bytes;
    int64_t virtual_bytes;
    int64_t open_files;
    int64_t open_files_max; /* the soft limit; -1 also for none */
    int64_t started_ms;     /* wall clock */
};

struct process process_look(void);

#endif
