#include "base/limits.h"
#include "io/fetch.h"
#include "rude_server.h"

/* Limits that a test can reach; the times are those of a busy machine. */
static const struct fetch_limits patient = {.at_once = 4,
                                            .waiting = 8,
                                            .connect_ms = 30000,
                                            .total_ms = 60000,
                                            .body_bytes = 100000,
                                            .all_bytes = 1000000};

static struct rude_server server;
static struct loop loop;
static struct fetch *fetch;
static int open_count; /* questions not answered yet */

struct question {
    struct fetch_request request;
    char url[64];
    char type[64]; /* its answer's Content-Type; "" for none */
    int done_count;
    int number; /* its place among the answers, from 1 on */
};

static int answer_count;

static bool answer(struct rude_server *rude, int fd, const char *head)
{
    static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=x\r\n"
                                "Content-Length: 5\r\n\r\nhello";
    static char block[65536];
    char text[RUDE_HEAD_MAX + 256];

    if (strncmp(head, "GET /hello", 10) == 0)
        rude_say(fd, hello);
    else if (strncmp(head, "GET /head", 9) == 0) {
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(head), head);
        rude_say(fd, text);
    } else if (strncmp(head, "GET /hold", 9) == 0) {
        rude_hold(rude, fd);
        rude_say(fd, hello);
    } else if (strncmp(head, "GET /busy", 9) == 0)
        rude_say(fd, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\n"
                     "Content-Length: 2\r\n\r\n{}");
    else if (strncmp(head, "GET /away", 9) == 0)
        rude_say(fd, "HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n");
    else if (strncmp(head, "GET /cut", 8) == 0) {
        rude_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        return false;
    } else if (strncmp(head, "GET /chunk-cut", 14) == 0) {
        rude_say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        return false;
    } else if (strncmp(head, "GET /chunks", 11) == 0)
        rude_say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
    else if (strncmp(head, "GET /long-said", 14) == 0)
        rude_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n");
    else if (strncmp(head, "GET /long", 9) == 0) { /* without saying so */
        rude_say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        rude_send(fd, block, sizeof(block));
        rude_send(fd, block, sizeof(block));
        return false;
    } else if (strncmp(head, "GET /full", 9) == 0) {
        rude_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n");
        rude_send(fd, block, sizeof(block));
    } else if (strncmp(head, "GET /number", 11) == 0)
        rude_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello");
    else if (strncmp(head, "GET /garbage", 12) == 0) {
        rude_say(fd, "220 mail.example ESMTP\r\n\r\n");
        return false;
    } else /* hangs up without a word */
        return false;
    return true;
}

static void begin(const struct fetch_limits *limits)
{
    rude_start(&server, answer);
    assert_int_equal(loop_init(&loop), 0);
    fetch = fetch_new(&loop, limits);
    open_count = answer_count = 0;
}

/* Runs until every question is answered. */
static void await_answers(void)
{
    if (open_count) uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(open_count, 0);
}

/* Runs until so many questions are with the server. */
static void await_requests(int count)
{
    while (atomic_load(&server.request_count) < count) {
        uv_run(&loop.uv, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static void end(void)
{
    fetch_stop(fetch);
    loop_close(&loop);
    loop_run(&loop);
    loop_deinit(&loop);
    fetch_free(fetch);
    rude_stop(&server);
}

static void on_done(struct fetch_request *request)
{
    struct question *question = container_of(request, struct question, request);
    struct str type = fetch_header(request, "content-type");

    snprintf(question->type, sizeof(question->type), "%.*s", (int)type.size,
             type.at ? type.at : "");
    question->done_count++;
    question->number = ++answer_count;
    if (!--open_count && request->err != ERR_STOPPED) uv_stop(&loop.uv);
}

static int ask_with(struct question *question, const char *target, const char *const *headers)
{
    int err;

    *question = (struct question){0};
    snprintf(question->url, sizeof(question->url), "http://127.0.0.1:%d", server.port);
    question->request = (struct fetch_request){
        .url = question->url, .target = target, .headers = headers, .done = on_done};
    err = fetch_get(fetch, &question->request);
    open_count += !err;
    return err;
}

static void ask(struct question *question, const char *target)
{
    assert_int_equal(ask_with(question, target, NULL), 0);
    assert_int_equal(question->done_count, 0);
}

static void expect_hello(struct question *question)
{
    assert_int_equal(question->done_count, 1);
    assert_int_equal(question->request.err, 0);
    assert_int_equal(question->request.status, 200);
    assert_true(str_eq(buf_str(&question->request.body), STR("hello")));
    buf_deinit(&question->request.body);
}

static void expect_error(const struct question *question, int err)
{
    assert_int_equal(question->done_count, 1);
    assert_int_equal(question->request.err, err);
    assert_int_equal(question->request.body.size, 0);
    assert_true(*question->request.trouble);
}

/* Asks for `target` alone, which must fail so; then all is well again. */
static void expect_failure(const char *target, int err)
{
    struct question question;

    begin(&patient);
    ask(&question, target);
    await_answers();
    expect_error(&question, err);
    ask(&question, "/hello");
    await_answers();
    expect_hello(&question);
    end();
}

TEST(an_answer_comes_with_its_status_fields_and_body)
{
    struct question question;

    begin(&patient);
    ask(&question, "/hello");
    await_answers();
    assert_string_equal(question.type, "text/plain; charset=x");
    expect_hello(&question);
    ask(&question, "/busy");
    await_answers();
    assert_int_equal(question.request.err, 0);
    assert_int_equal(question.request.status, 429);
    assert_true(str_eq(buf_str(&question.request.body), STR("{}")));
    buf_deinit(&question.request.body);
    end();
}

TEST(the_target_is_sent_as_it_stands_with_the_headers_given)
{
    static const char *const headers[] = {"Accept-Encoding: gzip", "Via: 1.1 x", NULL};
    struct question question;
    const char *head;

    begin(&patient);
    assert_int_equal(ask_with(&question, "/head/../%41?a={b}|[c]&d=%zz", headers), 0);
    await_answers();
    buf_add_char(&question.request.body, '\0');
    head = question.request.body.data;
    assert_true(strncmp(head, "GET /head/../%41?a={b}|[c]&d=%zz HTTP/1.1\r\n", 43) == 0);
    assert_non_null(strstr(head, "\r\nAccept-Encoding: gzip\r\n"));
    assert_non_null(strstr(head, "\r\nVia: 1.1 x\r\n"));
    assert_non_null(strstr(head, "\r\nUser-Agent: heatcast/"));
    buf_deinit(&question.request.body);
    end();
}

TEST(questions_one_after_the_other_share_a_connection)
{
    struct question question;

    begin(&patient);
    for (int i = 0; i < 5; i++) {
        ask(&question, i % 2 ? "/chunks" : "/hello");
        await_answers();
        expect_hello(&question);
    }
    assert_int_equal(atomic_load(&server.connection_count), 1);
    end();
}

TEST(a_redirect_is_not_followed)
{
    struct question question;

    begin(&patient);
    ask(&question, "/away");
    await_answers();
    assert_int_equal(question.request.err, 0);
    assert_int_equal(question.request.status, 302);
    assert_int_equal(atomic_load(&server.request_count), 1);
    buf_deinit(&question.request.body);
    end();
}

TEST(a_body_cut_before_its_length_is_no_answer)
{
    expect_failure("/cut", UV_EPROTO);
}

TEST(chunks_cut_before_the_last_are_no_answer)
{
    expect_failure("/chunk-cut", UV_EPROTO);
}

TEST(what_is_not_http_is_no_answer)
{
    expect_failure("/garbage", UV_EPROTO);
}

TEST(a_length_that_is_no_number_is_no_answer)
{
    expect_failure("/number", UV_EPROTO);
}

TEST(a_server_that_hangs_up_without_a_word_gave_no_answer)
{
    expect_failure("/nothing", UV_EPROTO);
}

TEST(a_body_that_says_it_is_too_long_is_refused)
{
    expect_failure("/long-said", ERR_FULL);
}

TEST(a_body_that_gets_too_long_is_refused)
{
    expect_failure("/long", ERR_FULL);
}

TEST(bodies_have_bounds_together_too)
{
    struct fetch_limits limits = patient;
    struct question question;

    limits.all_bytes = 65535;
    begin(&limits);
    for (int i = 0; i < 3; i++) {
        ask(&question, "/full");
        await_answers();
        expect_error(&question, UV_ENOMEM);
        ask(&question, "/hello"); /* what was taken has been given back */
        await_answers();
        expect_hello(&question);
    }
    end();
}

TEST(a_port_where_nobody_listens_cannot_be_reached)
{
    struct question question = {0};

    begin(&patient);
    rude_stop(&server);
    ask(&question, "/hello");
    await_answers();
    expect_error(&question, UV_ECONNREFUSED);
    rude_start(&server, answer);
    end();
}

TEST(other_protocols_are_not_spoken)
{
    struct question question = {.request = {.url = "file:///etc/passwd", .done = on_done}};

    begin(&patient);
    assert_int_equal(fetch_get(fetch, &question.request), 0);
    open_count = 1;
    await_answers();
    expect_error(&question, UV_EPROTO);
    end();
}

TEST(an_answer_that_does_not_come_in_time_is_given_up)
{
    struct fetch_limits limits = patient;
    struct question question;

    limits.total_ms = 200;
    begin(&limits);
    ask(&question, "/hold");
    await_answers();
    expect_error(&question, UV_ETIMEDOUT);
    end();
}

/* Those who wait, too: the time counts from when they asked. */
TEST(nobody_waits_for_a_turn_longer_than_for_an_answer)
{
    struct fetch_limits limits = patient;
    struct question questions[12];

    limits.total_ms = 200;
    begin(&limits);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++)
        ask(&questions[i], "/hold");
    await_answers();
    for (size_t i = 0; i < ARRAY_LEN(questions); i++)
        expect_error(&questions[i], UV_ETIMEDOUT);
    end();
}

TEST(more_than_go_at_once_wait_and_more_than_may_wait_are_refused)
{
    struct question questions[12], refused;

    begin(&patient);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++)
        ask(&questions[i], "/hold");
    assert_int_equal(ask_with(&refused, "/hello", NULL), ERR_FULL);
    await_requests(4);
    assert_int_equal(answer_count, 0);
    atomic_store(&server.is_open, true);
    await_answers();
    assert_int_equal(atomic_load(&server.connection_count), 4);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        expect_hello(&questions[i]);
        if (i >= 4) assert_true(questions[i].number > 1);
    }
    end();
}

static struct question second;

static void ask_again(struct fetch_request *request)
{
    ask(&second, "/hello");
    on_done(request);
}

TEST(an_answer_may_lead_to_the_next_question)
{
    struct question first;

    begin(&patient);
    ask(&first, "/hello");
    first.request.done = ask_again;
    await_answers();
    expect_hello(&first);
    expect_hello(&second);
    end();
}

TEST(stopping_ends_what_is_under_way_and_what_waits)
{
    struct question questions[12], late;

    begin(&patient);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++)
        ask(&questions[i], "/hold");
    await_requests(4);
    fetch_stop(fetch);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++)
        expect_error(&questions[i], ERR_STOPPED);
    assert_int_equal(ask_with(&late, "/hello", NULL), ERR_STOPPED);
    end();
}

/* Half of a body is there, and a connection is kept. */
TEST(stopping_in_the_middle_leaves_nothing)
{
    struct question first, other;

    begin(&patient);
    ask(&first, "/hello");
    await_answers();
    expect_hello(&first);
    ask(&first, "/full");
    ask(&other, "/hold");
    await_requests(3);
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    end();
    buf_deinit(&first.request.body);
    assert_int_equal(first.done_count + other.done_count, 2);
    assert_int_equal(other.request.err, ERR_STOPPED);
}
