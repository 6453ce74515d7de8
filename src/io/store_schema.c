#include "io/store_schema.h"

#include <stdio.h>

/* Never edit a step that was released: add one.
 *
 * There is no PRIMARY KEY: its index makes loading three times slower and the file half as large
 * again, and reads are ranges, which the zone maps serve since rows arrive by symbol and time. One
 * process owns the file and writes by one transaction at a time, each joining what it adds
 * against what is there (store_load.c), so keys are unique all the same. */
const struct schema_step schema_steps[] = {
    {"CREATE TABLE candle ("
     " symbol VARCHAR NOT NULL, step_ms BIGINT NOT NULL, open_ms BIGINT NOT NULL," /* the key */
     " open DOUBLE NOT NULL, high DOUBLE NOT NULL, low DOUBLE NOT NULL, close DOUBLE NOT NULL,"
     " volume DOUBLE NOT NULL);" /* prices in USDT, volume in the base asset */
     "CREATE TABLE open_interest ("
     " symbol VARCHAR NOT NULL, time_ms BIGINT NOT NULL," /* the key */
     " value DOUBLE NOT NULL, base DOUBLE);"              /* USDT; base asset where known */
     "CREATE TABLE setting (name VARCHAR NOT NULL, value VARCHAR NOT NULL);"},
};
const unsigned schema_version = ARRAY_LEN(schema_steps);

static int read_version(struct duck *duck, int64_t *version)
{
    int64_t tables, ours;
    int err;

    err =
        duck_query_int(duck, &tables, 0, "SELECT count(*) FROM duckdb_tables() WHERE NOT internal");
    if (err) return err;
    err =
        duck_query_int(duck, &ours, 0,
                       "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'heatcast_schema'");
    if (err) return err;
    *version = 0;
    if (!tables) return 0;
    if (!ours) return ERR_UNKNOWN;
    return duck_query_int(duck, version, 0, "SELECT max(version)::BIGINT FROM heatcast_schema");
}

static int take_step(struct duck *duck, const struct schema_step *step, unsigned version)
{
    char note[200];
    int err;

    snprintf(note, sizeof(note),
             "CREATE TABLE IF NOT EXISTS heatcast_schema (version INTEGER NOT NULL);"
             "DELETE FROM heatcast_schema; INSERT INTO heatcast_schema VALUES (%u); COMMIT",
             version);
    err = duck_run(duck, "BEGIN");
    if (!err) err = duck_run(duck, step->sql);
    if (!err) err = duck_run(duck, note);
    if (err) duck_rollback(duck);
    return err;
}

int schema_migrate(struct duck *duck, const struct schema_step *steps, unsigned step_count,
                   int64_t *version)
{
    int err = read_version(duck, version);

    if (err) return err;
    if (*version > step_count) return ERR_NEWER;
    while (*version < step_count) {
        err = take_step(duck, &steps[*version], (unsigned)*version + 1);
        if (err) return err;
        ++*version;
    }
    return 0;
}
