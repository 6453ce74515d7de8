/* replay.c - runs a fuzz target over files, or over the files of folders, one test each: TAP.
 *
 *     build/release/fuzz/http fuzz/corpus/http */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "fuzz.h"

static unsigned test_count, failed_count;

static bool read_file(const char *path, struct buf *bytes)
{
    char chunk[4096];
    FILE *file = fopen(path, "re");
    size_t size;
    bool ok;

    if (!file) return false;
    while ((size = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_add(bytes, chunk, size);
    ok = !ferror(file);
    fclose(file);
    return ok;
}

/* A target that finds something ends the program: its "ok" is missing then. */
static void replay_file(const char *path)
{
    struct buf bytes = {0};
    bool ok = read_file(path, &bytes);

    if (ok) {
        uint8_t *copy = fuzz_copy(bytes.data, bytes.size);

        LLVMFuzzerTestOneInput(copy, bytes.size);
        free(copy);
    }
    failed_count += !ok;
    printf("%s %u - %s\n", ok ? "ok" : "not ok", ++test_count, path);
    fflush(stdout);
    buf_deinit(&bytes);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_visible, alphasort);

    for (int i = 0; i < count; i++) {
        char *file = mem_printf("%s/%s", path, entries[i]->d_name);

        replay_file(file);
        free(file);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat status;

        if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode))
            replay_folder(argv[i]);
        else
            replay_file(argv[i]);
    }
    printf("1..%u\n", test_count);
    return failed_count || !test_count;
}
