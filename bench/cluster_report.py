"""What `make bench-cluster` measured, as tables in Markdown."""

from report import ms, number, row, table


def cells(summary):
    return ms(summary["p50_us"]), ms(summary["p99_us"]), ms(summary["max_us"]), summary["count"]


def verdict(value_us, limit_ms):
    return "yes" if value_us <= limit_ms * 1000 else "**no**"


def trip_table(trip):
    labels = {"alone": "one server without Redis, its own client", "same": "one of several, its own client",
              "full": "over Redis, client of another full node", "edge": "over Redis, client of an edge"}
    rows = [row(label, *cells(trip[name]), verdict(trip[name]["p99_us"], 10) if name in ("full", "edge") else "")
            for name, label in labels.items()]
    return table(["from POST to receipt, 8 KiB", "p50, ms", "p99, ms", "max, ms", "messages", "p99 < 10 ms"], rows)


def spread_table(spread):
    rows = [row(name.replace("x", "×"), ms(of["median_us"]), *cells(of["last"]), verdict(of["last"]["p99_us"], 100),
                number(of["message_cpu_us"])) for name, of in spread.items()]
    return table(["servers × clients, 8 KiB", "median client, ms", "last client: p50, ms", "p99, ms", "max, ms",
                  "messages", "p99 < 100 ms", "CPU a message, µs"], rows)


def bus_table(bus):
    rows = [row(f"redis-server, {count} subscribers", number(of["message_cpu_us"], 1), number(of["used_bytes"] / 2**20),
                number(of["resident_bytes"] / 2**20)) for count, of in bus["redis"].items()]
    rows.append(row("the same, each subscriber more", number(bus["subscriber_cpu_us"]),
                    number(bus["subscriber_bytes"] / 2**20, 3), ""))
    rows.append(row("the server that is posted to", number(bus["full_cpu_us"], 1), "", ""))
    rows.append(row("an edge without clients", number(bus["edge_cpu_us"], 1), "", ""))
    return table(["8 KiB, %d a second" % bus["per_second"], "CPU a message, µs", "used memory, MiB", "resident, MiB"], rows)


def opening_table(opening):
    names = {
        "connect_cpu_us": "CPU of a connection and its handshake, µs",
        "snapshot_cpu_us": "CPU of subscribing and the first snapshot, µs",
        "resume_cpu_us": "CPU of subscribing with what one has, and a delta, µs",
        "delta_cpu_us": "CPU of a delta to one of many, µs",
        "kernel_bytes_both_ends": "kernel memory of it, both ends, bytes",
    }
    return table(["%d clients of one server" % opening["clients"], ""],
                 [row(label, number(opening[name])) for name, label in names.items()])


def proxy_table(proxy):
    names = {"connect_cpu_us": ("CPU of a connection, its handshakes and its upgrade, µs", 1),
             "message_cpu_us": ("CPU of a message, µs", 2),
             "message_bytes": ("the message, bytes", 0),
             "client_bytes": ("memory of a client that has had messages, bytes", 0)}
    rows = [row(label, *[number(proxy[form][name], digits) for form in ("plain", "deflated")])
            for name, (label, digits) in names.items()]
    return table(["nginx with TLS, %d clients" % proxy["clients"], "plain", "deflated"], rows)


def sizes_table(sizes):
    forms = ("levels plain", "levels deflate", "columns plain", "columns deflate")
    rows = [row(f"mode {mode}, every {seconds} s", *[number(of[f"{mode} {form}"], 0) for form in forms])
            for seconds, of in sizes.items() for mode in ("snapshot", "delta")]
    return table(["simulated BTCUSDT, mean bytes a version", *[form.replace(" plain", "").replace(" deflate", ", deflated")
                                                           for form in forms]], rows)


TABLES = {"trip": trip_table, "spread": spread_table, "bus": bus_table, "opening": opening_table, "proxy": proxy_table,
          "sizes": sizes_table}


def about(results):
    m = results["machine"]
    return (f"{results['date']}; heatcast {results['heatcast']}, redis {results['redis']}; {m['cpu']}, {m['cores']} cores, "
            f"{m['memory_gib']} GiB, Linux {m['kernel']}; load {m['load_before']:.2f} before it began"
            + (". **A short run: rough figures.**" if results["short"] else "."))


def tables(results):
    return "\n\n".join([about(results), *[make(results[name]) for name, make in TABLES.items() if name in results]]) + "\n"
