/* What the kernel says of this process, beside what it does to be told so. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/process.h"

static int64_t walk_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int64_t count = -3; /* ".", ".." and the folder itself */

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

TEST(all_open_files_are_counted)
{
    assert_int_equal(process_look().open_files, walk_files());
}

TEST(files_that_are_opened_are_counted)
{
    struct process before = process_look();
    int fds[10];

    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = open("/dev/null", O_RDONLY);
    assert_int_equal(process_look().open_files, before.open_files + 10);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    assert_int_equal(process_look().open_files, before.open_files);
}

TEST(the_limit_on_files_is_the_soft_one)
{
    struct rlimit limit, lower;

    getrlimit(RLIMIT_NOFILE, &limit);
    lower = limit;
    lower.rlim_cur = 123;
    setrlimit(RLIMIT_NOFILE, &lower);
    assert_int_equal(process_look().open_files_max, 123);
    setrlimit(RLIMIT_NOFILE, &limit);
}

TEST(memory_that_is_touched_is_resident)
{
    size_t size = 64 << 20;
    struct process before = process_look(), after;
    char *memory = mem_alloc(size);

    memset(memory, 1, size);
    after = process_look();
    assert_int_equal(memory[size - 1], 1);
    assert_true(after.resident_bytes - before.resident_bytes > (int64_t)size / 2);
    assert_true(after.virtual_bytes - before.virtual_bytes >= (int64_t)size);
    free(memory);
}

TEST(processor_time_rises_with_work)
{
    int64_t before = process_look().cpu_us;

    assert_true(before >= 0);
    while (process_look().cpu_us < before + 2000)
        ;
}

/* A child that began between two looks at the clock, told by itself. */
TEST(a_process_began_when_it_was_started)
{
    int64_t before_ms = clock_wall_ms(), started_ms = 0;
    int ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (!child) {
        struct process self = process_look();

        _exit(write(ends[1], &self.started_ms, sizeof(self.started_ms)) < 0);
    }
    assert_int_equal(read(ends[0], &started_ms, sizeof(started_ms)), sizeof(started_ms));
    waitpid(child, NULL, 0);
    assert_in_range(started_ms, before_ms - 1000, clock_wall_ms() + 1000);
    close(ends[0]);
    close(ends[1]);
}
